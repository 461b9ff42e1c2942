package logfile

import (
	"math"
	"strconv"
	"strings"

	"silo/internal/errs"
)

// Defaults of rotation: unlike Docker's, logs never fill the disk unasked.
const (
	DefaultMaxSize  = 10_000_000 // bytes
	DefaultMaxFiles = 3
)

// Options of a log.
type Options struct {
	MaxSize  int64 // bytes after which a file is rotated; 0 is the default, below 0 no limit
	MaxFiles int   // files kept, the newest included; 0 is the default
}

// ParseOptions reads Docker's options of the json-file log driver. Those that
// Silo does not implement are refused, with errs.Invalid, not ignored.
func ParseOptions(opts map[string]string) (Options, error) {
	o := Options{MaxSize: DefaultMaxSize, MaxFiles: DefaultMaxFiles}
	for k, v := range opts {
		var err error
		switch k {
		case "max-size":
			o.MaxSize, err = parseSize(v)
		case "max-file":
			o.MaxFiles, err = strconv.Atoi(v)
			if err != nil || o.MaxFiles < 1 {
				err = errs.Invalidf("log opt max-file=%s: give a number of files from 1 up", v)
			}
		case "compress":
			if on, perr := strconv.ParseBool(v); perr != nil {
				err = errs.Invalidf("log opt compress=%s: give true or false", v)
			} else if on {
				err = errs.Invalidf("log opt compress=true: rotated logs are not compressed, leave it out")
			}
		case "mode":
			// A log is a local file and a full disk drops output, so a
			// container never waits for more than the kernel's write.
			if v != "blocking" {
				err = errs.Invalidf("log opt mode=%s: only blocking is supported, leave it out", v)
			}
		default:
			err = errs.Invalidf("unknown log opt '%s' for json-file log driver: known are max-size, max-file, compress, mode", k)
		}
		if err != nil {
			return Options{}, err
		}
	}
	return o, nil
}

// parseSize reads a size as Docker does for logs: decimal multiples, an
// optional b, any case. "-1" is no limit.
func parseSize(s string) (int64, error) {
	if s == "-1" {
		return -1, nil
	}
	num, unit := strings.TrimSpace(s), 1.0
	lower := strings.ToLower(num)
	lower = strings.TrimSuffix(strings.TrimSuffix(lower, "b"), "i")
	for i, suffix := range []string{"k", "m", "g", "t", "p"} {
		if strings.HasSuffix(lower, suffix) {
			lower, unit = strings.TrimSuffix(lower, suffix), math.Pow(1000, float64(i+1))
			break
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(lower), 64)
	if size := n * unit; err == nil && size >= 1 && size < math.MaxInt64 {
		return int64(size), nil
	}
	return 0, errs.Invalidf("log opt max-size=%s: give a positive size such as 10m, or -1 for no limit", s)
}

func (o Options) withDefaults() Options {
	if o.MaxSize == 0 {
		o.MaxSize = DefaultMaxSize
	}
	if o.MaxFiles <= 0 {
		o.MaxFiles = DefaultMaxFiles
	}
	return o
}
