package listing

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Container is what a table shows of a container; the fields are those of
// Docker's Summary.
type Container struct {
	ID, Image, ImageID, Command, Status string
	Names                               []string
	Created                             int64 // seconds since 1970
	SizeRw, SizeRootFs                  int64 // bytes
	Ports                               []Port
}

// ContainersOptions say what is shown of containers.
type ContainersOptions struct {
	Quiet   bool // only ids
	NoTrunc bool // long texts whole
	Size    bool // a column of sizes
}

// Containers writes a table of containers, or a list of their ids.
func Containers(w io.Writer, list []Container, o ContainersOptions) error {
	if o.Quiet {
		var b strings.Builder
		for i := range list {
			b.WriteString((&ContainerRow{&list[i], o.NoTrunc}).ID())
			b.WriteByte('\n')
		}
		_, err := io.WriteString(w, b.String())
		return err
	}
	return Tabulate(w, func(w io.Writer) {
		size := ""
		if o.Size {
			size = "\tSIZE"
		}
		fmt.Fprintf(w, "CONTAINER ID\tIMAGE\tCOMMAND\tCREATED\tSTATUS\tPORTS\tNAMES%s\n", size)
		for i := range list {
			r := ContainerRow{&list[i], o.NoTrunc}
			if o.Size {
				size = "\t" + r.Size()
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s%s\n", r.ID(), r.Image(), r.Command(), r.RunningFor(), r.Status(), r.Ports(), r.Names(), size)
		}
	})
}

// ContainerRow is one line of the table: its methods give the columns.
type ContainerRow struct {
	C       *Container
	NoTrunc bool
}

// ID is the container's id.
func (r *ContainerRow) ID() string {
	if r.NoTrunc {
		return r.C.ID
	}
	return ShortID(r.C.ID)
}

// Names are the container's names.
func (r *ContainerRow) Names() string {
	names := make([]string, len(r.C.Names))
	for i, n := range r.C.Names {
		names[i] = strings.TrimPrefix(n, "/")
	}
	return strings.Join(names, ",")
}

// Image is the image as it was named at creation.
func (r *ContainerRow) Image() string {
	switch {
	case r.C.Image == "":
		return "<no image>"
	case r.NoTrunc:
		return r.C.Image
	case ShortID(r.C.ImageID) == ShortID(r.C.Image):
		return ShortID(r.C.Image)
	}
	return FamiliarName(r.C.Image)
}

// Command is the command, quoted.
func (r *ContainerRow) Command() string {
	if r.NoTrunc {
		return strconv.Quote(r.C.Command)
	}
	return strconv.Quote(Ellipsis(r.C.Command, 20))
}

// RunningFor is how long ago the container was made.
func (r *ContainerRow) RunningFor() string { return Ago(time.Unix(r.C.Created, 0)) }

// Ports are its published and exposed ports.
func (r *ContainerRow) Ports() string { return portsText(r.C.Ports) }

// Status is the state in words.
func (r *ContainerRow) Status() string { return r.C.Status }

// Size is what the container wrote, and with its image.
func (r *ContainerRow) Size() string {
	if r.C.SizeRootFs > 0 {
		return fmt.Sprintf("%s (virtual %s)", Size(r.C.SizeRw), Size(r.C.SizeRootFs))
	}
	return Size(r.C.SizeRw)
}
