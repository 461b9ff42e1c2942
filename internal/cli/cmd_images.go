package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"silo/client"
	"silo/client/image"
	"silo/internal/listing"
)

func cmdImages(a *app) *cobra.Command {
	var all, quiet, noTrunc, digests bool
	var format string
	var filters map[string][]string
	c := &cobra.Command{
		Use:     "images [OPTIONS] [REPOSITORY[:TAG]]",
		Aliases: []string{"list"},
		Short:   "List images",
		Long:    "Filters: dangling, label, before, since, until, reference.",
		Example: `silo images
silo images --format '{{.Repository}}:{{.Tag}} {{.Size}}' --filter dangling=false`,
		Args:              maxArgs(1),
		ValidArgsFunction: a.completeImages(1),
	}
	f := c.Flags()
	f.BoolVarP(&all, "all", "a", false, "Show intermediate images, too")
	f.BoolVarP(&quiet, "quiet", "q", false, "Print ids only")
	f.BoolVar(&noTrunc, "no-trunc", false, "Do not cut long texts")
	f.BoolVar(&digests, "digests", false, "Show digests")
	f.VarP(filterValue(&filters), "filter", "f", "Show those that match key=value")
	f.StringVar(&format, "format", "", formatHelp)
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			if filters == nil {
				filters = client.Filters{}
			}
			filters["reference"] = append(filters["reference"], args[0])
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		list, err := cl.Images(c.Context(), all, filters)
		if err != nil {
			return err
		}
		l := rowFormat{
			columns: []string{"Repository", "Tag", "ID", "CreatedSince", "Size"},
			headers: map[string]string{
				"ID": "IMAGE ID", "Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST", "CreatedSince": "CREATED",
				"CreatedAt": "CREATED AT", "Size": "SIZE", "Containers": "CONTAINERS", "VirtualSize": "SIZE",
				"SharedSize": "SHARED SIZE", "UniqueSize": "UNIQUE SIZE",
			},
			format: format,
		}
		if digests {
			l.columns = []string{"Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"}
		}
		if quiet {
			l.quiet = "ID"
		}
		return printRows(a.out, l, imageRows(list, !noTrunc, digests || strings.Contains(format, ".Digest")))
	}
	return c
}

// imageRows makes a line for each name of each image; an image without a name
// has one, too.
func imageRows(list []image.Summary, trunc, digests bool) []*imageRow {
	var rows []*imageRow
	for _, im := range list {
		names := 0
		digestOf := map[string]string{}
		for _, d := range im.RepoDigests {
			repo, _, digest := listing.SplitName(familiarDigest(d))
			digestOf[repo] = digest
		}
		for _, t := range im.RepoTags {
			if t == "<none>:<none>" {
				continue
			}
			repo, tag, _ := listing.SplitName(listing.FamiliarName(t))
			r := &imageRow{i: im, trunc: trunc, repo: repo, tag: tag, digest: "<none>"}
			if d := digestOf[repo]; d != "" {
				r.digest = d
			}
			rows = append(rows, r)
			names++
		}
		if names > 0 {
			continue
		}
		r := &imageRow{i: im, trunc: trunc, repo: "<none>", tag: "<none>", digest: "<none>"}
		for repo, digest := range digestOf {
			r.repo = repo
			if digests {
				r.digest = digest
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// familiarDigest is listing.FamiliarName that keeps the digest.
func familiarDigest(s string) string {
	_, _, digest := listing.SplitName(s)
	return listing.FamiliarName(s) + "@" + digest
}

// imageRow is one line of images.
type imageRow struct {
	i                 image.Summary
	trunc             bool
	repo, tag, digest string
}

func (*imageRow) isRow() {}

// ID is the image's id.
func (r *imageRow) ID() string {
	if r.trunc {
		return listing.ShortID(r.i.ID)
	}
	return r.i.ID
}

// Repository is the name without tag.
func (r *imageRow) Repository() string { return r.repo }

// Tag is the tag.
func (r *imageRow) Tag() string { return r.tag }

// Digest is the digest of the manifest at the registry.
func (r *imageRow) Digest() string { return r.digest }

// CreatedSince is how long ago the image was made.
func (r *imageRow) CreatedSince() string { return listing.Ago(time.Unix(r.i.Created, 0)) }

// CreatedAt is when the image was made.
func (r *imageRow) CreatedAt() string { return time.Unix(r.i.Created, 0).String() }

// Size is its size.
func (r *imageRow) Size() string { return listing.Size(r.i.Size) }

// VirtualSize is its size.
func (r *imageRow) VirtualSize() string { return r.Size() }

// Containers is how many containers use it.
func (r *imageRow) Containers() string {
	if r.i.Containers < 0 {
		return "N/A"
	}
	return strconv.FormatInt(r.i.Containers, 10)
}

// SharedSize is what it shares with others.
func (r *imageRow) SharedSize() string {
	if r.i.SharedSize < 0 {
		return "N/A"
	}
	return units.HumanSize(float64(r.i.SharedSize))
}

// UniqueSize is what it has for itself.
func (r *imageRow) UniqueSize() string {
	if r.i.SharedSize < 0 {
		return "N/A"
	}
	return units.HumanSize(float64(r.i.Size - r.i.SharedSize))
}
