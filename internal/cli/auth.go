package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"silo/client"
)

// dockerConfig is what silo reads of Docker's config.json.
type dockerConfig struct {
	Auths       map[string]client.AuthConfig `json:"auths"`
	CredsStore  string                       `json:"credsStore"`
	CredHelpers map[string]string            `json:"credHelpers"`
}

// dockerHub is the name under which credentials for docker.io are kept.
const dockerHub = "https://index.docker.io/v1/"

// registryAuth gives the X-Registry-Auth header for an image, from Docker's
// credentials; "" if there are none.
func (a *app) registryAuth(image string) (string, error) {
	dir := a.getenv("DOCKER_CONFIG")
	if dir == "" {
		home := a.getenv("HOME")
		if home == "" {
			return "", nil
		}
		dir = filepath.Join(home, ".docker")
	}
	file := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var c dockerConfig
	if err := json.Unmarshal(data, &c); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	host := registryOf(image)
	auth, err := c.find(host)
	if err != nil || auth == (client.AuthConfig{}) {
		return "", err
	}
	auth.ServerAddress = host
	out, err := json.Marshal(auth)
	return base64.URLEncoding.EncodeToString(out), err
}

// find looks for credentials: of the registry's own helper, of the store, and
// in the file.
func (c *dockerConfig) find(host string) (client.AuthConfig, error) {
	keys := []string{host, "https://" + host, "http://" + host}
	if host == "docker.io" {
		keys = []string{dockerHub, "docker.io", "index.docker.io"}
	}
	for _, k := range keys {
		helper := c.CredHelpers[k]
		if helper == "" {
			helper = c.CredsStore
		}
		if helper != "" {
			auth, err := askHelper(helper, k)
			if err != nil || auth != (client.AuthConfig{}) {
				return auth, err
			}
		}
	}
	for k, auth := range c.Auths {
		for _, want := range keys {
			if k == want || bareHost(k) == host {
				return decodeAuth(k, auth)
			}
		}
	}
	return client.AuthConfig{}, nil
}

// bareHost takes scheme and path off a key of the file.
func bareHost(k string) string {
	k = strings.TrimPrefix(strings.TrimPrefix(k, "https://"), "http://")
	host, _, _ := strings.Cut(k, "/")
	return host
}

// decodeAuth splits the field auth, base64 of name:password.
func decodeAuth(key string, a client.AuthConfig) (client.AuthConfig, error) {
	if a.Auth == "" {
		return a, nil
	}
	text, err := base64.StdEncoding.DecodeString(a.Auth)
	name, password, ok := strings.Cut(string(text), ":")
	if err != nil || !ok {
		return a, fmt.Errorf("credentials for %s: auth is not base64 of name:password: log in again", key)
	}
	a.Username, a.Password, a.Auth = name, strings.Trim(password, "\x00"), ""
	return a, nil
}

// askHelper asks docker-credential-NAME, as Docker does: the registry on its
// standard input, JSON on its output.
func askHelper(name, server string) (client.AuthConfig, error) {
	var auth client.AuthConfig
	program := "docker-credential-" + name
	cmd := exec.Command(program, "get")
	cmd.Stdin = strings.NewReader(server)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		msg := strings.TrimSpace(out.String())
		if strings.Contains(msg, "credentials not found") {
			return auth, nil
		}
		if msg == "" {
			msg = err.Error()
		}
		return auth, fmt.Errorf("credentials for %s: %s: %s", server, program, msg)
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		return auth, fmt.Errorf("credentials for %s: %s: %w", server, program, err)
	}
	if answer.Username == "<token>" {
		auth.IdentityToken = answer.Secret
	} else {
		auth.Username, auth.Password = answer.Username, answer.Secret
	}
	return auth, nil
}
