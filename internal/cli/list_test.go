package cli

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"silo/api"
	"silo/client/container"
	"silo/client/image"
	"silo/client/system"
	"silo/client/volume"
)

// world is a daemon with one of everything.
func world(t *testing.T) *fake {
	old := time.Now().Add(-2*time.Hour - 5*time.Minute)
	ip := netip.MustParseAddr
	port := func(private, public uint16, addr string) container.PortSummary {
		p := container.PortSummary{PrivatePort: private, PublicPort: public, Type: "tcp"}
		if addr != "" {
			p.IP = ip(addr)
		}
		return p
	}
	web := container.Summary{
		ID: fullID, Names: []string{"/web"}, Image: "docker.io/library/core:latest", ImageID: "sha256:" + fullID,
		Command: "httpd -h /www --foreground --port 80", Created: old.Unix(), State: "running", Status: "Up 2 hours (healthy)",
		Ports: []container.PortSummary{
			port(80, 8080, "0.0.0.0"), port(80, 8080, "::"), port(443, 443, "0.0.0.0"), port(444, 444, "0.0.0.0"), port(9000, 0, ""),
		},
		SizeRw: 12345, SizeRootFs: 9876543, Labels: map[string]string{"app": "web", "tier": "front"},
		Mounts: []container.MountPoint{{Type: mount.TypeVolume, Name: "a-volume-with-a-long-name", Driver: "local"}},
		Health: &container.HealthSummary{Status: "healthy"},
	}
	web.NetworkSettings = &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{"nat": {}}}
	job := container.Summary{
		ID: strings.Repeat("ab", 32), Names: []string{"/job"}, Image: "debian:12", Command: "true", Created: old.Unix(),
		State: "exited", Status: "Exited (0) 1 hour ago",
	}
	return newFake(t, map[string]any{
		"GET /containers/json": []container.Summary{web, job},
		"GET /images/json": []image.Summary{
			{ID: "sha256:" + fullID, RepoTags: []string{"core:latest", "docker.io/library/core:1"}, RepoDigests: []string{"core@sha256:77"}, Created: old.Unix(), Size: 12345678, Containers: -1, SharedSize: -1},
			{ID: "sha256:" + strings.Repeat("cd", 32), Created: old.Unix(), Size: 99, Containers: -1, SharedSize: -1},
		},
		"GET /images/core/history": []image.HistoryResponseItem{
			{ID: "sha256:" + fullID, Created: old.Unix(), CreatedBy: "RUN a command that is longer than what fits into the column", Size: 1000, Comment: "note"},
			{ID: "<missing>", Created: old.Unix(), CreatedBy: "ADD rootfs.tar /", Size: 5000000},
		},
		"GET /networks": []network.Summary{{Network: network.Network{Name: "nat", ID: fullID, Driver: "bridge", Scope: "local", EnableIPv4: true}}},
		"GET /volumes":  volume.ListResponse{Volumes: []volume.Volume{{Name: "data", Driver: "local", Mountpoint: "/v/data"}}},
		"GET /silo/disks": []api.Disk{
			{Container: fullID, Name: "/web", Path: "/var/lib/silo/containers/4c/sandbox.vhdx", Size: 20 << 30, Allocated: 1 << 20, Device: "/dev/loop3"},
			{Container: strings.Repeat("ab", 32), Name: "job", Path: "/x", Size: 64 << 20, Allocated: 5},
		},
		"GET /silo/sessions": []api.Session{
			{Number: 0, Processes: 120, Since: old},
			{Number: 17, Container: fullID, Name: "web", IDRange: api.IDRange{First: 1000000, Count: 65536}, Processes: 3, Since: old},
		},
		"GET /silo/doctor": []api.Check{
			{Name: "kernel", Answer: "yes", Detail: "6.18"},
			{Name: "audit", Answer: "no", Detail: "not built in", Effect: "sessions are numbered by silo", Suggestion: "boot with audit=1"},
		},
		"GET /containers/web/top":  container.TopResponse{Titles: []string{"PID", "CMD"}, Processes: [][]string{{"4711", "httpd -h /www"}, {"4712", "sh"}}},
		"GET /containers/web/json": `{"Id":"` + fullID + `","Name":"/web","State":{"Running":true,"Status":"running"},"Config":{"Env":["A=1","B=2"]},"HostConfig":{"Isolation":"process"},"NewField":1500000000,"NetworkSettings":{"Ports":{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}],"53/udp":[{"HostIp":"","HostPort":"53"}]}}}`,
		"GET /images/core/json":    `{"Id":"sha256:1","RepoTags":["core:latest"],"Config":{"Env":["PATH=/bin"]}}`,
		"GET /networks/nat":        `{"Name":"nat","Id":"n1"}`,
		"GET /volumes/data":        `{"Name":"data"}`,
		"GET /containers/*":        failing(404, "no such container"),
		"GET /images/*":            failing(404, "no such image"),
		"GET /containers/web/stats": fmt.Sprintf(`{"id":%q,"name":"/web","read":"2026-01-01T00:00:00Z",
			"cpu_stats":{"cpu_usage":{"total_usage":300},"system_cpu_usage":2000,"online_cpus":2},
			"precpu_stats":{"cpu_usage":{"total_usage":100},"system_cpu_usage":1000},
			"memory_stats":{"usage":3145728,"limit":268435456,"stats":{"inactive_file":1048576}},"pids_stats":{"current":4},
			"networks":{"eth0":{"rx_bytes":1500,"tx_bytes":20}},"blkio_stats":{"io_service_bytes_recursive":[{"op":"Read","value":4096},{"op":"write","value":100000}]}}`, fullID),
		"GET /events": `{"Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":{"name":"web","exitCode":"3"}},"time":1700000000,"timeNano":1700000000000000005}` + "\n",
		"GET /version": system.VersionResponse{
			Platform: system.PlatformInfo{Name: "Silo"}, Version: "0.1", APIVersion: "1.56", MinAPIVersion: "1.40", Os: "linux", Arch: "amd64",
			KernelVersion: "6.18", Components: []system.ComponentVersion{{Name: "Engine", Version: "0.1", Details: map[string]string{"ApiVersion": "1.56"}}},
		},
		"GET /info": system.Info{
			ID: "x", Containers: 2, ContainersRunning: 1, ContainersStopped: 1, Images: 2, Driver: "erofs", DriverStatus: [][2]string{{"Base", "file"}},
			ServerVersion: "0.1", CgroupVersion: "2", KernelVersion: "6.18", NCPU: 2, MemTotal: 4 << 30, SecurityOptions: []string{"name=seccomp,profile=builtin"},
			DockerRootDir: "/var/lib/silo", Warnings: []string{"WARNING: no swap limit"},
		},
		"GET /system/df": system.DiskUsage{
			ImageUsage:     &image.DiskUsage{TotalCount: 2, ActiveCount: 1, TotalSize: 1000000, Reclaimable: 250000},
			ContainerUsage: &container.DiskUsage{TotalCount: 2, ActiveCount: 1, TotalSize: 5000, Reclaimable: 0},
			VolumeUsage:    &volume.DiskUsage{},
		},
		"POST /containers/prune":              container.PruneReport{ContainersDeleted: []string{"c1", "c2"}, SpaceReclaimed: 1500000},
		"POST /volumes/prune":                 volume.PruneReport{},
		"POST /images/prune":                  image.PruneReport{ImagesDeleted: []image.DeleteResponse{{Untagged: "app:1"}, {Deleted: "sha256:1"}}, SpaceReclaimed: 1500000},
		"POST /volumes/create":                volume.Volume{Name: "data"},
		"DELETE /images/*":                    []image.DeleteResponse{{Untagged: "core:latest"}, {Deleted: "sha256:1"}},
		"GET /images/get":                     "TAR",
		"POST /images/load":                   `{"stream":"Loaded image: core:latest\n"}`,
		"POST /images/*":                      `{"status":"done"}`,
		"POST /containers/web/update":         container.UpdateResponse{Warnings: []string{"no swap limit"}},
		"GET /containers/" + fullID + "/logs": frame(1, "line 1\n") + frame(2, "err 1\n") + frame(1, "line 2\n"),
		"POST /containers/web/wait":           `{"StatusCode":9}`,
		"POST /containers/web/*":              204,
		"POST /containers/job/*":              304,
		"DELETE /containers/web":              204,
		"DELETE /containers/*":                failing(404, "no such container"),
		"DELETE /volumes/data":                204,
		"POST /silo/*":                        204,
	})
}

// then is the time of creation, as it is printed.
var then = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC`)

// TestCommands compares the output of each command with a file that holds the
// command line, what it printed and what it asked of the daemon.
func TestCommands(t *testing.T) {
	for name, lines := range map[string][]string{
		"ps": {
			"ps -a", "ps -q", "ps --no-trunc -s", "ps -n 1", "ps -l -q --no-trunc", "ps --filter status=exited --filter label=a=b --filter status=created",
			`ps --format {{.Names}}:{{.Label|"app"}}:{{.State}}`, `ps --format table|{{.Names}}\t{{.Label|"app.tier-name"}}\t{{upper|.State}}`, "ps --format json -a",
			"ps --format {{json|.}}", "ps --format {{.Nope}}", "container ls -a --format {{.Ports}}", "ps --format {{.Size}}|{{.LocalVolumes}}|{{.Mounts}}|{{.Networks}}|{{.HealthStatus}}",
		},
		"images": {
			"images", "images -q", "images --digests", "images --no-trunc core", "images --format {{.Repository}}:{{.Tag}}", "image ls --filter dangling=true -a",
			"history core", "history -q --no-trunc core", "history --human=false --format {{.Size}} core", "rmi core", "rmi nope core", "tag core example.com:5000/x/core:1",
			"save core debian:12", "load -q", "import - a:b", "import --change CMD|sh -m note http://example.com/x.tar", "push core", "pull -q core",
		},
		"parts": {
			"network ls", "network ls -q --no-trunc", "network inspect nat", "volume ls", "volume ls -q", "volume ls --format json", "volume create --label a=b data",
			"volume inspect data", "volume rm data", "volume prune -f", "volume prune -af", "volume prune", "disk ls", "disk ls -q", "disk ls --format {{.Name}}={{.Mounts}} --no-trunc",
			"disk mount web /mnt", "disk mount -w web /mnt", "disk unmount /mnt", "session ls", "session ls --format {{.Number}}|{{.Container}}",
		},
		"look": {
			"top web", "top web -o pid,user", "port web", "port web 80", "port web 81/udp", "port web x", "logs web", "logs -f --tail 5 -t --since 1700000000 web",
			"events", "events --format json", "events --filter event=die --format {{.Actor.Attributes.exitCode}} --until 1700000001.5", "stats --no-stream web",
			"stats --no-stream --format {{.Name}}|{{.CPUPerc}} web", "stats --no-stream gone", "wait web", "wait gone web",
		},
		"inspect": {
			"inspect web", "inspect -f {{.Name}}|{{json|.Config.Env}}|{{join|.Config.Env|\",\"}} web", "inspect -f {{.NewField}} web", "inspect -f {{.Nope}} web",
			"inspect core nat data", "inspect web gone core", "inspect --type image core", "inspect --type image web", "inspect --type what web", "inspect -s --format json web",
			"container inspect web -f {{.HostConfig.Isolation}}", "image inspect core -f {{.RepoTags}}",
		},
		"life": {
			"start web", "start job", "stop web gone", "stop -t 3 -s INT web", "restart web", "kill -s HUP web", "pause web", "unpause web", "rename web www",
			"rm web gone", "rm -fv web gone", "update -m 64m --cpus 0.5 --restart on-failure:3 web", "container prune -f --filter until=24h", "container prune",
			"image prune -af --filter label=a=b", "image prune",
		},
		"system": {
			"doctor", "doctor --format {{.Name}}={{.Answer}}", "info", "info --format {{.NCPU}}", "version --format {{.Server.Version}}", "system df", "system df --format json",
			"__complete stop |", "__complete run |", "__complete exec web |", "__complete rm web |", "__complete properties |",
			"__complete service start web |", "__complete volume rm |", "__complete network inspect |", "__complete session show |", "__complete run --isolation |", "__complete properties --group |", "__complete help volume |",
			"completion nope", "help rename", "help bogus", "help volume bogus", "rename --help", "tag core core:",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var all strings.Builder
			for _, line := range lines {
				f := world(t)
				var args []string
				for _, a := range strings.Fields(line) {
					args = append(args, strings.TrimSuffix(strings.ReplaceAll(a, "|", " "), " "))
				}
				if strings.HasSuffix(line, " |") {
					args[len(args)-1] = ""
				}
				got := f.silo("", args...)
				fmt.Fprintf(&all, "$ silo %s\n", line)
				calls := f.called()
				if name == "life" {
					slices.Sort(calls) // several go at the same time
				}
				for _, c := range calls {
					fmt.Fprintf(&all, "> %s\n", c)
				}
				all.WriteString(then.ReplaceAllString(got.out, "THEN"))
				if got.err != "" {
					fmt.Fprintf(&all, "stderr: %s", got.err)
				}
				fmt.Fprintf(&all, "[%d]\n\n", got.code)
				f.stop()
			}
			golden(t, name, all.String())
		})
	}
}
