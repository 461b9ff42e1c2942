package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"silo/client"
	"silo/internal/listing"
)

func cmdPull(a *app) *cobra.Command {
	var platform string
	var quiet bool
	c := &cobra.Command{
		Use:   "pull [OPTIONS] NAME[:TAG|@DIGEST]",
		Short: "Fetch an image from a registry",
		Long: `Credentials are taken from Docker's config.json ($DOCKER_CONFIG or ~/.docker),
credential helpers included.`,
		Example: `silo pull debian:12
silo pull --platform linux/arm64 registry.example:5000/app@sha256:…`,
		Args: exactArgs(1),
	}
	f := c.Flags()
	f.StringVar(&platform, "platform", "", "Platform to fetch, as linux/amd64")
	f.BoolVarP(&quiet, "quiet", "q", false, "Do not show progress")
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		if err := a.pull(c.Context(), cl, args[0], platform, quiet, a.out); err != nil {
			return err
		}
		if quiet {
			_, err = fmt.Fprintln(a.out, fullName(args[0]))
		}
		return err
	}
	return c
}

// pull fetches an image and shows progress on w.
func (a *app) pull(ctx context.Context, c *client.Client, image, platform string, quiet bool, w io.Writer) error {
	auth, err := a.registryAuth(image)
	if err != nil {
		return err
	}
	repo, tag, digest := listing.SplitName(image)
	switch {
	case digest != "":
		tag = digest
	case tag == "":
		tag = "latest"
		if !quiet {
			fmt.Fprintln(w, "Using default tag: latest")
		}
	}
	body, err := c.ImagePull(ctx, repo, tag, platform, auth)
	if err != nil {
		return err
	}
	return a.show(body, w, quiet, nil)
}

// fullName is a name with its registry and tag.
func fullName(image string) string {
	repo, tag, _ := listing.SplitName(listing.FamiliarName(image))
	_, _, digest := listing.SplitName(image)
	if registryOf(repo) == "docker.io" {
		if !strings.Contains(repo, "/") {
			repo = "library/" + repo
		}
		repo = "docker.io/" + repo
	}
	switch {
	case digest != "":
		return repo + "@" + digest
	case tag == "":
		tag = "latest"
	}
	return repo + ":" + tag
}
