package cli

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func cmdSave(a *app) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "save [OPTIONS] IMAGE [IMAGE...]",
		Short: "Write images to an archive that load or docker load reads",
		Example: `silo save -o core.tar core
silo save core | gzip > core.tar.gz`,
		Args:              minArgs(1),
		ValidArgsFunction: a.completeImages(0),
	}
	c.Flags().StringVarP(&output, "output", "o", "", "Write a file instead of standard output")
	c.RunE = func(c *cobra.Command, args []string) error {
		if output == "" && a.term.out >= 0 {
			return errors.New("save: standard output is a terminal: use -o FILE, or redirect it")
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		body, err := cl.ImageSave(c.Context(), args)
		if err != nil {
			return err
		}
		defer body.Close()
		if output == "" {
			_, err = io.Copy(a.out, body)
			return err
		}
		return writeWhole(output, body)
	}
	return c
}

// writeWhole writes a file that exists only when all of it is there.
func writeWhole(path string, r io.Reader) error {
	if s, err := os.Stat(path); err == nil && !s.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(f, r)
		return err
	}
	f, err := os.CreateTemp(dirOf(path), ".silo-save-")
	if err != nil {
		return &os.PathError{Op: "create", Path: path, Err: errors.Unwrap(err)} // not the name that it has meanwhile
	}
	_, err = io.Copy(f, r)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o600)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func dirOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i+1]
	}
	return "."
}
