package change

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/errs"
)

type config = dockerspec.DockerOCIImageConfig

func oci(c ocispec.ImageConfig) config { return config{ImageConfig: c} }

func ext(e dockerspec.DockerOCIImageConfigExt) config {
	return config{DockerOCIImageConfigExt: e}
}

// The expected values follow the Dockerfile reference.
func TestApply(t *testing.T) {
	set := func(keys ...string) map[string]struct{} {
		m := map[string]struct{}{}
		for _, k := range keys {
			m[k] = struct{}{}
		}
		return m
	}
	for _, tt := range []struct {
		name  string
		lines []string
		want  config
	}{
		{"cmd json", []string{`CMD ["sh", "-c", "a b"]`}, oci(ocispec.ImageConfig{Cmd: []string{"sh", "-c", "a b"}})},
		{"cmd shell", []string{`cmd echo "$HOME"`}, oci(ocispec.ImageConfig{Cmd: []string{"/bin/sh", "-c", `echo "$HOME"`}})},
		{"cmd broken json", []string{`CMD [sh]`}, oci(ocispec.ImageConfig{Cmd: []string{"/bin/sh", "-c", `[sh]`}})},
		{"entrypoint keeps cmd", []string{"CMD [\"x\"]", "ENTRYPOINT [\"/e\"]"}, oci(ocispec.ImageConfig{Cmd: []string{"x"}, Entrypoint: []string{"/e"}})},
		{
			"env",
			[]string{`ENV A=1 B="two words" C='$A' D=$A\ x`, `ENV A=2`, `ENV E=${A}${Z:-none}${A:+y}`, `ENV old the whole  rest`},
			oci(ocispec.ImageConfig{Env: []string{"A=2", "B=two words", "C=$A", "D= x", "E=2noney", "old=the whole  rest"}}),
		},
		{"env sees the state before its instruction", []string{`ENV abc=hello`, `ENV abc=bye def=$abc`}, oci(ocispec.ImageConfig{Env: []string{"abc=bye", "def=hello"}})},
		{"expose", []string{"EXPOSE 80 53/udp 8000-8002"}, oci(ocispec.ImageConfig{ExposedPorts: set("80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp")})},
		{"label", []string{`LABEL "com.x.y"="a b" k=v`, `LABEL multi="a \`, `b"`}, oci(ocispec.ImageConfig{Labels: map[string]string{"com.x.y": "a b", "k": "v", "multi": "a b"}})},
		{"user", []string{"ENV U=web", "USER $U:$U"}, oci(ocispec.ImageConfig{Env: []string{"U=web"}, User: "web:web"})},
		{"volume", []string{`VOLUME ["/a b", "/c"]`, "VOLUME /d /e"}, oci(ocispec.ImageConfig{Volumes: set("/a b", "/c", "/d", "/e")})},
		{"workdir", []string{"WORKDIR /a", "WORKDIR b/../c", "# comment", ""}, oci(ocispec.ImageConfig{WorkingDir: "/a/c"})},
		{"stopsignal", []string{"STOPSIGNAL SIGINT"}, oci(ocispec.ImageConfig{StopSignal: "SIGINT"})},
		{"onbuild", []string{"ONBUILD RUN make"}, ext(dockerspec.DockerOCIImageConfigExt{OnBuild: []string{"RUN make"}})},
		{"healthcheck", []string{"HEALTHCHECK --interval=5s --retries=2 CMD curl -f http://x/"}, ext(dockerspec.DockerOCIImageConfigExt{
			Healthcheck: &dockerspec.HealthcheckConfig{Test: []string{"CMD-SHELL", "curl -f http://x/"}, Interval: 5 * time.Second, Retries: 2},
		})},
		{"healthcheck json", []string{`HEALTHCHECK CMD ["/ok"]`}, ext(dockerspec.DockerOCIImageConfigExt{Healthcheck: &dockerspec.HealthcheckConfig{Test: []string{"CMD", "/ok"}}})},
		{"healthcheck none", []string{`HEALTHCHECK NONE`}, ext(dockerspec.DockerOCIImageConfigExt{Healthcheck: &dockerspec.HealthcheckConfig{Test: []string{"NONE"}}})},
		{"tab", []string{"USER\tweb"}, oci(ocispec.ImageConfig{User: "web"})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got config
			if err := Apply(&got, tt.lines); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"RUN make":                     "RUN is not a valid change command",
		"FROM x":                       "FROM is not a valid change command",
		"CMD":                          "requires at least one argument",
		"ENV A":                        "must have two arguments",
		"ENV A=1 B":                    "can't find =",
		`ENV A="x`:                     "double-quote",
		"ENV A=${B":                    "unsupported modifier",
		"EXPOSE http":                  "invalid containerPort",
		"EXPOSE 80/icmp":               "invalid proto",
		"EXPOSE 9-8":                   "invalid containerPort",
		"USER a b":                     "exactly one",
		"ONBUILD ONBUILD RUN x":        "chaining",
		"ONBUILD FROM x":               "isn't allowed",
		"HEALTHCHECK RUN x":            "unknown type",
		"HEALTHCHECK --interval=x CMD": "not a duration",
		"HEALTHCHECK --foo=1 CMD x":    "unknown flag",
		"LABEL =x":                     "blank",
	} {
		cfg := oci(ocispec.ImageConfig{User: "kept"})
		err := Apply(&cfg, []string{"USER other", line})
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
		if cfg.User != "kept" {
			t.Errorf("%q: changed the config before it failed", line)
		}
	}
}

func FuzzApply(f *testing.F) {
	for _, s := range []string{`ENV A=1 B="two"`, "LABEL a\\\n b", `VOLUME ["/a"]`, "ENV A=${B:-${C:+'}'}}", "HEALTHCHECK --retries=1 CMD x", "EXPOSE 1-3/udp"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var cfg config
		if err := Apply(&cfg, []string{s}); err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%v is not errs.Invalid", err)
		}
		for _, kv := range cfg.Env {
			if strings.Index(kv, "=") < 1 {
				t.Errorf("environment entry %q has no name", kv)
			}
		}
	})
}
