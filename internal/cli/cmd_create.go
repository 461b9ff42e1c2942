package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"silo/client"
	"silo/client/container"
)

// When to pull an image.
const (
	pullAlways  = "always"
	pullMissing = "missing"
	pullNever   = "never"
)

func cmdCreate(a *app) *cobra.Command {
	var o createFlags
	c := &cobra.Command{
		Use:   "create [OPTIONS] IMAGE [COMMAND] [ARG...]",
		Short: "Make a container without starting it",
		Example: `silo create --name web -p 8080:80 core httpd
silo start web`,
		Args:              minArgs(1),
		ValidArgsFunction: a.completeImages(1),
	}
	f := c.Flags()
	f.SetInterspersed(false)
	o.add(f)
	completeCreate(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := o.request(f, args[0], args[1:])
		if err != nil {
			return exit(125, seeHelp(c, err))
		}
		cl, err := a.client()
		if err != nil {
			return exit(125, err)
		}
		id, err := a.create(c.Context(), cl, &o, r)
		if err != nil {
			return exit(125, err)
		}
		_, err = fmt.Fprintln(a.out, id)
		return err
	}
	return c
}

// create makes a container, pulling its image if need be, and gives its id.
func (a *app) create(ctx context.Context, c *client.Client, o *createFlags, r *container.CreateRequest) (string, error) {
	cid, err := openCIDFile(o.cidfile)
	if err != nil {
		return "", err
	}
	defer cid.close()
	var made container.CreateResponse
	err = a.withImage(ctx, c, o, r, func() (err error) {
		made, err = c.ContainerCreate(ctx, o.name, o.platform, r)
		return err
	})
	if err != nil {
		return "", err
	}
	a.warn(made.Warnings)
	return made.ID, cid.write(made.ID)
}

func (a *app) warn(list []string) {
	for _, w := range list {
		fmt.Fprintf(a.err, "WARNING: %s\n", w)
	}
}

// withImage sends a request for a container, pulling its image before or, if
// the daemon does not have it, between two tries.
func (a *app) withImage(ctx context.Context, c *client.Client, o *createFlags, r *container.CreateRequest, send func() error) error {
	if o.pull == pullAlways {
		if err := a.pull(ctx, c, r.Image, o.platform, o.quiet, a.err); err != nil {
			return err
		}
	}
	h, w := a.term.size()
	r.HostConfig.ConsoleSize = [2]uint{uint(h), uint(w)}
	err := send()
	if o.pull != pullMissing || !noImage(err) {
		return err
	}
	if !o.quiet {
		fmt.Fprintf(a.err, "Image %s is not here, pulling it\n", r.Image)
	}
	if err := a.pull(ctx, c, r.Image, o.platform, o.quiet, a.err); err != nil {
		return err
	}
	return send()
}

// noImage tells whether a container could not be made for want of its image.
func noImage(err error) bool {
	return client.Status(err) == 404 && strings.Contains(strings.ToLower(err.Error()), "image")
}

// cidFile is the file of --cidfile. It is taken away unless an id was written.
type cidFile struct {
	f       *os.File
	written bool
}

func openCIDFile(path string) (*cidFile, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("--cidfile %s exists: remove it, or make sure that its container is not running any more", path)
	}
	if err != nil {
		return nil, fmt.Errorf("--cidfile: %w", err)
	}
	return &cidFile{f: f}, nil
}

func (c *cidFile) write(id string) error {
	if c == nil {
		return nil
	}
	if _, err := c.f.WriteString(id); err != nil {
		return fmt.Errorf("--cidfile: %w", err)
	}
	c.written = true
	return nil
}

func (c *cidFile) close() {
	if c == nil {
		return
	}
	c.f.Close()
	if !c.written {
		os.Remove(c.f.Name())
	}
}
