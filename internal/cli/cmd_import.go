package cli

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"silo/internal/listing"
)

func cmdImport(a *app) *cobra.Command {
	var changes []string
	var message, platform string
	c := &cobra.Command{
		Use:   "import [OPTIONS] FILE|URL|- [NAME[:TAG]]",
		Short: "Make an image of the tar archive of a root file system",
		Example: `silo import rootfs.tar.gz debian:mine
debootstrap --variant=minbase bookworm root && tar -C root -c . | silo import - debian:12
silo import https://files.example/rootfs.tar.gz base:1
silo import --change 'CMD ["bash"]' rootfs.tar shell`,
		Args: func(c *cobra.Command, args []string) error {
			if err := minArgs(1)(c, args); err != nil {
				return err
			}
			return maxArgs(2)(c, args)
		},
	}
	f := c.Flags()
	f.VarP(list(&changes, nil), "change", "c", "Apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR")
	f.StringVarP(&message, "message", "m", "", "Note for the image's history")
	f.StringVar(&platform, "platform", "", "Platform of the image, as linux/amd64")
	c.RunE = func(c *cobra.Command, args []string) error {
		var repo, tag string
		if len(args) == 2 {
			var digest string
			if repo, tag, digest = listing.SplitName(args[1]); digest != "" {
				return fmt.Errorf("import: %q: a name with a digest cannot be given", args[1])
			}
		}
		source, tar := args[0], io.Reader(nil)
		switch u, err := url.Parse(source); {
		case source == "-":
			if descriptor(a.in) >= 0 {
				return errors.New("import -: standard input is a terminal: pipe an archive into it")
			}
			tar = a.in
		case err == nil && (u.Scheme == "http" || u.Scheme == "https"):
		default:
			f, err := os.Open(source)
			if err != nil {
				return fmt.Errorf("import: %w", err)
			}
			defer f.Close()
			source, tar = "-", f
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		body, err := cl.ImageImport(c.Context(), source, repo, tag, message, platform, changes, tar)
		if err != nil {
			return err
		}
		return a.show(body, a.out, false, nil)
	}
	return c
}
