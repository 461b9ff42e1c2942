// Package filter reads and applies the filters of the Docker Engine API:
// a JSON object of key to values, in either of its two historic forms,
// {"label":["a=b"]} and {"label":{"a=b":true}}.
package filter

// Args maps each filter key to its values; values of one key are
// alternatives, keys must all match (labels must all match too).
type Args map[string][]string
