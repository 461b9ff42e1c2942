package cli

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/spf13/cobra"

	"silo/client"
)

func cmdEvents(a *app) *cobra.Command {
	var since, until, format string
	var filters map[string][]string
	c := &cobra.Command{
		Use:   "events [OPTIONS]",
		Short: "Show what happens, as it happens",
		Long:  "Filters: type, event, container, image, label, network, volume.",
		Example: `silo events --since 1h --until 0s
silo events --filter container=web --filter event=die --format '{{.Actor.Attributes.exitCode}}'`,
		Args: maxArgs(0),
	}
	f := c.Flags()
	f.StringVar(&since, "since", "", "Begin at a time (2026-01-02T13:23:37Z) or that long ago (42m)")
	f.StringVar(&until, "until", "", "End at a time or that long ago")
	f.VarP(filterValue(&filters), "filter", "f", "Show those that match key=value")
	f.StringVar(&format, "format", "", `Print "json" or a Go template`)
	c.RunE = func(c *cobra.Command, _ []string) error {
		show, err := eventFormat(format)
		if err != nil {
			return err
		}
		if since, err = timestamp("--since", since); err != nil {
			return err
		}
		if until, err = timestamp("--until", until); err != nil {
			return err
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		body, err := cl.Events(c.Context(), since, until, filters)
		if err != nil {
			return err
		}
		defer body.Close()
		return client.Decode(body, func(m events.Message) error { return show(a.out, m) })
	}
	return c
}

// eventFormat makes what prints an event in a format.
func eventFormat(format string) (func(io.Writer, events.Message) error, error) {
	switch format {
	case "":
		return printEvent, nil
	case "json":
		return func(w io.Writer, m events.Message) error {
			_, err := fmt.Fprintln(w, toJSON(m))
			return err
		}, nil
	}
	t, err := parseTemplate(format)
	if err != nil {
		return nil, err
	}
	if err := t.Execute(io.Discard, &events.Message{}); err != nil {
		return nil, fmt.Errorf("--format: %w", err)
	}
	return func(w io.Writer, m events.Message) error {
		if err := t.Execute(w, m); err != nil {
			return err
		}
		_, err := io.WriteString(w, "\n")
		return err
	}, nil
}

func printEvent(w io.Writer, m events.Message) error {
	at := time.Unix(m.Time, 0)
	if m.TimeNano != 0 {
		at = time.Unix(0, m.TimeNano)
	}
	line := fmt.Sprintf("%s %s %s %s", at.Format("2006-01-02T15:04:05.000000000Z07:00"), m.Type, m.Action, m.Actor.ID)
	if len(m.Actor.Attributes) > 0 {
		keys := make([]string, 0, len(m.Actor.Attributes))
		for k := range m.Actor.Attributes {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		var parts []string
		for _, k := range keys {
			parts = append(parts, k+"="+m.Actor.Attributes[k])
		}
		line += " (" + strings.Join(parts, ", ") + ")"
	}
	_, err := fmt.Fprintln(w, line)
	return err
}
