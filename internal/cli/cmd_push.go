package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"silo/internal/listing"
)

func cmdPush(a *app) *cobra.Command {
	var platform string
	var quiet bool
	c := &cobra.Command{
		Use:               "push [OPTIONS] NAME[:TAG]",
		Short:             "Send an image to its registry",
		Example:           `silo push registry.example:5000/app:1`,
		Args:              exactArgs(1),
		ValidArgsFunction: a.completeImages(1),
	}
	f := c.Flags()
	f.StringVar(&platform, "platform", "", "Send one platform only, as linux/amd64")
	f.BoolVarP(&quiet, "quiet", "q", false, "Do not show progress")
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		auth, err := a.registryAuth(args[0])
		if err != nil {
			return err
		}
		p, err := platformJSON(platform)
		if err != nil {
			return err
		}
		repo, tag, _ := listing.SplitName(args[0])
		if tag == "" {
			tag = "latest"
			if !quiet {
				fmt.Fprintln(a.out, "Using default tag: latest")
			}
		}
		body, err := cl.ImagePush(c.Context(), repo, tag, p, auth)
		if err != nil {
			return err
		}
		if err := a.show(body, a.out, quiet, nil); err != nil {
			return err
		}
		if quiet {
			_, err = fmt.Fprintln(a.out, fullName(args[0]))
		}
		return err
	}
	return c
}

// platformJSON makes of OS/ARCH[/VARIANT] what the API takes for a push.
func platformJSON(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	p := struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant,omitempty"`
	}{}
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return "", fmt.Errorf("--platform %q: use OS/ARCHITECTURE[/VARIANT]", s)
	}
	p.OS, p.Architecture = parts[0], parts[1]
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	out, err := json.Marshal(p)
	return string(out), err
}
