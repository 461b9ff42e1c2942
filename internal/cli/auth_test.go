package cli

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"
)

func TestRegistryAuth(t *testing.T) {
	bin := t.TempDir()
	helper := `#!/bin/sh
read server
case "$server" in
helped:5000) echo '{"ServerURL":"helped:5000","Username":"<token>","Secret":"tok"}';;
stored.io) echo '{"Username":"u","Secret":"p:w"}';;
broken) echo 'no key ring'; exit 1;;
*) echo 'credentials not found in native keychain'; exit 1;;
esac
`
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-test"), []byte(helper), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	const file = `{"auths":{
		"https://index.docker.io/v1/":{"auth":"aHViOnB3"},
		"https://host:5000/v2/":{"auth":"dTpwOnc="},
		"plain":{"username":"x","password":"y"},
		"bad":{"auth":"!"}},
		"credHelpers":{"helped:5000":"test","broken":"test","none":"test","gone":"missing"}}`
	for name, c := range map[string]struct{ config, image, want string }{
		"hub":           {file, "debian:12", `{"username":"hub","password":"pw","serveraddress":"docker.io"}`},
		"hub by name":   {file, "docker.io/user/x", `{"username":"hub","password":"pw","serveraddress":"docker.io"}`},
		"scheme, path":  {file, "host:5000/a/b:1", `{"username":"u","password":"p:w","serveraddress":"host:5000"}`},
		"not encoded":   {file, "localhost/x", ``},
		"token":         {file, "helped:5000/x", `{"serveraddress":"helped:5000","identitytoken":"tok"}`},
		"not in helper": {`{"credHelpers":{"none.io":"test"}}`, "none.io/x", ``},
		"store":         {`{"credsStore":"test"}`, "stored.io/x", `{"username":"u","password":"p:w","serveraddress":"stored.io"}`},
		"helper fails":  {`{"credHelpers":{"broken.io":"fails"}}`, "broken.io/x", `credentials for broken.io: docker-credential-fails: exec: "docker-credential-fails": executable file not found in $PATH`},
		"bad base64":    {`{"auths":{"bad.io":{"auth":"!"}}}`, "bad.io/x", `credentials for bad.io: auth is not base64 of name:password: log in again`},
		"no file":       {``, "debian", ``},
		"not JSON":      {`{`, "debian", `DIR/config.json: unexpected end of JSON input`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.config != "" {
				if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(c.config), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			a := &app{getenv: func(k string) string { return map[string]string{"DOCKER_CONFIG": dir}[k] }}
			got, err := a.registryAuth(c.image)
			text, derr := base64.URLEncoding.DecodeString(got)
			if derr != nil {
				t.Error(derr)
			}
			if err != nil {
				text = []byte(replaceDir(err.Error(), dir))
			}
			if string(text) != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

func replaceDir(s, dir string) string {
	if len(s) > len(dir) && s[:len(dir)] == dir {
		return "DIR" + s[len(dir):]
	}
	return s
}
