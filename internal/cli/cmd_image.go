package cli

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"silo/client"
	"silo/client/image"
)

func cmdImage(a *app) *cobra.Command {
	kind := "image"
	inspect := inspectCommand(a, &kind)
	inspect.Use, inspect.Short = "inspect [OPTIONS] IMAGE [IMAGE...]", "Show all about images"
	inspect.Example = "silo image inspect core"
	return group("image", "Images, as the commands above", append(a.members("image"), inspect)...)
}

func cmdTag(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:               "tag SOURCE[:TAG] TARGET[:TAG]",
		Short:             "Give an image one more name",
		Example:           `silo tag core registry.example:5000/core:1`,
		Args:              exactArgs(2),
		ValidArgsFunction: a.completeImages(1),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		repo, tag, digest := splitName(args[1])
		if digest != "" {
			return fmt.Errorf("tag %q: a name with a digest cannot be given", args[1])
		}
		return cl.ImageTag(c.Context(), args[0], repo, tag)
	}
	return c
}

func cmdRmi(a *app) *cobra.Command {
	var force, noPrune bool
	c := &cobra.Command{
		Use:               "rmi [OPTIONS] IMAGE [IMAGE...]",
		Short:             "Remove names of images, and images with their last name",
		Example:           `silo rmi debian:12`,
		Args:              minArgs(1),
		ValidArgsFunction: a.completeImages(0),
	}
	c.Flags().BoolVarP(&force, "force", "f", false, "Remove an image that has several names or stopped containers")
	c.Flags().BoolVar(&noPrune, "no-prune", false, "Keep its untagged parents")
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		var errs []error
		for _, ref := range args {
			out, err := cl.ImageRemove(c.Context(), ref, force, noPrune)
			if err != nil {
				if !force || client.Status(err) != 404 {
					errs = append(errs, err)
				}
				continue
			}
			for _, d := range out {
				printRemoved(a.out, d)
			}
		}
		return errors.Join(errs...)
	}
	return c
}

func printRemoved(w io.Writer, d image.DeleteResponse) {
	if d.Untagged != "" {
		fmt.Fprintf(w, "Untagged: %s\n", d.Untagged)
	}
	if d.Deleted != "" {
		fmt.Fprintf(w, "Deleted: %s\n", d.Deleted)
	}
}

func cmdImport(a *app) *cobra.Command {
	var changes []string
	var message, platform string
	c := &cobra.Command{
		Use:   "import [OPTIONS] FILE|URL|- [NAME[:TAG]]",
		Short: "Make an image of the tar archive of a root file system",
		Example: `silo import rootfs.tar.gz debian:mine
debootstrap --variant=minbase bookworm root && tar -C root -c . | silo import - debian:12
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
			if repo, tag, digest = splitName(args[1]); digest != "" {
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

func cmdLoad(a *app) *cobra.Command {
	var input string
	var quiet bool
	c := &cobra.Command{
		Use:   "load [OPTIONS]",
		Short: "Bring in images of an archive that save or docker save wrote",
		Example: `silo load -i images.tar
docker save debian:12 | silo load`,
		Args: maxArgs(0),
	}
	c.Flags().StringVarP(&input, "input", "i", "", "Read a file instead of standard input")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "Do not show progress")
	c.RunE = func(c *cobra.Command, _ []string) error {
		tar := a.in
		if input != "" {
			f, err := os.Open(input)
			if err != nil {
				return fmt.Errorf("load: %w", err)
			}
			defer f.Close()
			tar = f
		} else if descriptor(a.in) >= 0 {
			return errors.New("load: standard input is a terminal: use -i FILE, or pipe an archive into it")
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		body, err := cl.ImageLoad(c.Context(), quiet || width(a.out) == 0, tar)
		if err != nil {
			return err
		}
		return a.show(body, a.out, false, nil)
	}
	return c
}

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
		return err
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

func cmdHistory(a *app) *cobra.Command {
	var quiet, noTrunc bool
	human := true
	var format string
	c := &cobra.Command{
		Use:               "history [OPTIONS] IMAGE",
		Short:             "Show the steps that made an image",
		Example:           `silo history --no-trunc core`,
		Args:              exactArgs(1),
		ValidArgsFunction: a.completeImages(1),
	}
	f := c.Flags()
	f.BoolVar(&human, "human", true, "Show sizes and times in words")
	f.BoolVarP(&quiet, "quiet", "q", false, "Print ids only")
	f.BoolVar(&noTrunc, "no-trunc", false, "Do not cut long texts")
	f.StringVar(&format, "format", "", formatHelp)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		list, err := cl.ImageHistory(c.Context(), args[0])
		if err != nil {
			return err
		}
		l := listing{
			columns: []string{"ID", "CreatedSince", "CreatedBy", "Size", "Comment"},
			headers: map[string]string{
				"ID": "IMAGE", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "CreatedBy": "CREATED BY",
				"Size": "SIZE", "Comment": "COMMENT",
			},
			format: format,
		}
		if quiet {
			l.quiet = "ID"
		}
		rows := make([]*historyRow, len(list))
		for i := range list {
			rows[i] = &historyRow{h: list[i], trunc: !noTrunc, human: human}
		}
		return printRows(a.out, l, rows)
	}
	return c
}

// historyRow is one line of history.
type historyRow struct {
	h            image.HistoryResponseItem
	trunc, human bool
}

func (*historyRow) isRow() {}

// ID is the id of the image after the step, or <missing>.
func (r *historyRow) ID() string {
	if r.trunc && r.h.ID != "<missing>" {
		return shortID(r.h.ID)
	}
	return r.h.ID
}

// CreatedAt is when the step was taken.
func (r *historyRow) CreatedAt() string { return time.Unix(r.h.Created, 0).Format(time.RFC3339) }

// CreatedSince is how long ago it was taken.
func (r *historyRow) CreatedSince() string {
	if !r.human {
		return r.CreatedAt()
	}
	return ago(time.Unix(r.h.Created, 0))
}

// CreatedBy is the step.
func (r *historyRow) CreatedBy() string {
	s := strings.ReplaceAll(r.h.CreatedBy, "\t", " ")
	if r.trunc {
		return ellipsis(s, 45)
	}
	return s
}

// Size is what it added.
func (r *historyRow) Size() string {
	if !r.human {
		return fmt.Sprint(r.h.Size)
	}
	return size3(r.h.Size)
}

// Comment is its note.
func (r *historyRow) Comment() string { return r.h.Comment }
