package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"silo/client"
)

// kinds lists what inspect looks for, in order.
func kinds() []string { return []string{"container", "image", "network", "volume"} }

func cmdInspect(a *app) *cobra.Command {
	var kind string
	c := inspectCommand(a, &kind)
	c.Use, c.Short = "inspect [OPTIONS] NAME [NAME...]", "Show all about containers, images, networks or volumes"
	c.Example = `silo inspect core
silo inspect --format '{{.NetworkSettings.Networks.nat.IPAddress}}' web
silo inspect --type image --format '{{json .Config.Env}}' core`
	c.ValidArgsFunction = a.completeContainers(0)
	c.Flags().StringVar(&kind, "type", "", "Look for this only: container, image, network or volume")
	return c
}

// inspectCommand makes a command that inspects objects of a kind, as it is when
// the command runs; "" is any.
func inspectCommand(a *app, kind *string) *cobra.Command {
	var format string
	var size bool
	c := &cobra.Command{Args: minArgs(1)}
	f := c.Flags()
	f.StringVarP(&format, "format", "f", "", `Print "json" or a Go template`)
	if *kind == "" || *kind == "container" {
		f.BoolVarP(&size, "size", "s", false, "Measure the size of containers")
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if *kind != "" && !slices.Contains(kinds(), *kind) {
			return fmt.Errorf("--type %q: use %s", *kind, strings.Join(kinds(), ", "))
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		in := &inspector{c: cl, size: size}
		return in.all(c.Context(), a.out, *kind, format, args)
	}
	return c
}

// inspector finds objects.
type inspector struct {
	c    *client.Client
	size bool
}

// object is one thing found.
type object struct {
	raw   []byte
	value any
}

// all prints every object that exists and joins the errors of the others.
func (in *inspector) all(ctx context.Context, w io.Writer, kind, format string, refs []string) error {
	var errs []error
	var found []object
	for _, ref := range refs {
		o, err := in.find(ctx, kind, ref)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, o)
	}
	if err := printObjects(w, format, found); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// find looks for an object of a kind, or of each kind in turn.
func (in *inspector) find(ctx context.Context, kind, ref string) (object, error) {
	try := kinds()
	if kind != "" {
		try = []string{kind}
	}
	for _, k := range try {
		o, err := in.get(ctx, k, ref)
		if err == nil || kind != "" || client.Status(err) != 404 {
			return o, err
		}
	}
	return object{}, fmt.Errorf("no container, image, network or volume is named %s", ref)
}

func (in *inspector) get(ctx context.Context, kind, ref string) (object, error) {
	switch kind {
	case "container":
		r, err := in.c.ContainerInspect(ctx, ref, in.size)
		return object{r.JSON, &r.Value}, err
	case "image":
		r, err := in.c.ImageInspect(ctx, ref)
		return object{r.JSON, &r.Value}, err
	case "network":
		r, err := in.c.NetworkInspect(ctx, ref)
		return object{r.JSON, &r.Value}, err
	}
	r, err := in.c.VolumeInspect(ctx, ref)
	return object{r.JSON, &r.Value}, err
}

// printObjects writes a JSON array, or each object in a format.
func printObjects(w io.Writer, format string, found []object) error {
	var b bytes.Buffer
	switch format {
	case "", "json": // a list, for people or on one line
		b.WriteByte('[')
		for i, o := range found {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(o.raw)
		}
		b.WriteByte(']')
		var out bytes.Buffer
		write := func() error { return json.Indent(&out, b.Bytes(), "", "    ") }
		if format == "json" {
			write = func() error { return json.Compact(&out, b.Bytes()) }
		}
		if err := write(); err != nil {
			return err
		}
		out.WriteByte('\n')
		_, err := out.WriteTo(w)
		return err
	default:
		t, err := parseTemplate(format)
		if err != nil {
			return err
		}
		for _, o := range found {
			n := b.Len()
			if err := t.Execute(&b, o.value); err != nil {
				// The type does not know all fields that a daemon sends.
				b.Truncate(n)
				var m any
				dec := json.NewDecoder(bytes.NewReader(o.raw))
				dec.UseNumber() // or 1500000000 is printed as 1.5e+09
				if dec.Decode(&m) != nil || t.Option("missingkey=error").Execute(&b, m) != nil {
					b.Truncate(n)
					return fmt.Errorf("--format: %w", err)
				}
			}
			b.WriteByte('\n')
		}
	}
	_, err := b.WriteTo(w)
	return err
}
