package engine

import (
	"context"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"

	"silo/internal/filter"
)

// ImagesPrune removes images without a name, or with dangling=false all that no
// container uses. What came with Silo stays: it would be back with the next
// start.
func (e *Engine) ImagesPrune(ctx context.Context, f filter.Args) (image.PruneReport, error) {
	report := image.PruneReport{ImagesDeleted: []image.DeleteResponse{}}
	if err := f.Validate("dangling", "label", "label!", "until"); err != nil {
		return report, err
	}
	nameless, err := f.Bool("dangling", true)
	if err != nil {
		return report, err
	}
	until, err := untilFilter(f)
	if err != nil {
		return report, err
	}
	list, err := e.Images(ctx, true, nil)
	if err != nil {
		return report, err
	}
	everything := func(string) bool { return true }
	before := e.images.LayersSize(everything)
	for _, x := range list {
		img, err := e.images.Resolve(x.ID)
		switch {
		case err != nil, img.Builtin != "", x.Containers > 0:
			continue
		case nameless && len(x.RepoTags)+len(x.RepoDigests) > 0:
			continue
		case !f.Labels(x.Labels) || !until.IsZero() && time.Unix(x.Created, 0).After(until):
			continue
		}
		gone, err := e.ImageRemove(ctx, x.ID, true, false)
		if err != nil {
			continue // taken into use meanwhile
		}
		report.ImagesDeleted = append(report.ImagesDeleted, gone...)
	}
	report.SpaceReclaimed = uint64(max(before-e.images.LayersSize(everything), 0))
	e.emitPrune(events.ImageEventType, report.SpaceReclaimed)
	return report, nil
}
