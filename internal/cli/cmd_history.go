package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"silo/client/image"
	"silo/internal/listing"
)

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
		l := rowFormat{
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
		return listing.ShortID(r.h.ID)
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
	return listing.Ago(time.Unix(r.h.Created, 0))
}

// CreatedBy is the step.
func (r *historyRow) CreatedBy() string {
	s := strings.ReplaceAll(r.h.CreatedBy, "\t", " ")
	if r.trunc {
		return listing.Ellipsis(s, 45)
	}
	return s
}

// Size is what it added.
func (r *historyRow) Size() string {
	if !r.human {
		return fmt.Sprint(r.h.Size)
	}
	return listing.Size(r.h.Size)
}

// Comment is its note.
func (r *historyRow) Comment() string { return r.h.Comment }
