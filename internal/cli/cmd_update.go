package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"silo/client"
	"silo/client/container"
)

// updateFlags are the limits that can change while a container runs.
type updateFlags struct {
	memory, memorySwap, memoryReservation int64
	cpus, cpuShares, pidsLimit            int64
	cpusetCpus, cpusetMems, restart       string
}

func cmdUpdate(a *app) *cobra.Command {
	var o updateFlags
	c := &cobra.Command{
		Use: "update [OPTIONS] CONTAINER [CONTAINER...]", Short: "Change limits and the restart policy of containers",
		Example:           "silo update -m 512m --cpus 2 web\nsilo update --restart unless-stopped web",
		Args:              minArgs(1),
		ValidArgsFunction: a.completeContainers(0),
	}
	f := c.Flags()
	f.VarP(bytesValue(&o.memory), "memory", "m", "Memory limit")
	f.Var(swapValue(&o.memorySwap), "memory-swap", "Limit of memory and swap together, -1 for no limit")
	f.Var(bytesValue(&o.memoryReservation), "memory-reservation", "Soft memory limit")
	f.Var(cpusValue(&o.cpus), "cpus", "Number of processors, as 1.5")
	f.Int64VarP(&o.cpuShares, "cpu-shares", "c", 0, "Share of processor time, relative to others (1024)")
	f.StringVar(&o.cpusetCpus, "cpuset-cpus", "", "Processors to run on, as 0-3,5")
	f.StringVar(&o.cpusetMems, "cpuset-mems", "", "Memory nodes to use, as 0,1")
	f.Int64Var(&o.pidsLimit, "pids-limit", 0, "Most processes at a time, -1 for no limit")
	f.StringVar(&o.restart, "restart", "", "Restart policy: no, on-failure[:N], always or unless-stopped")
	c.RunE = func(c *cobra.Command, args []string) error {
		if f.NFlag() == 0 {
			return seeHelp(c, errors.New("update: no change was asked for"))
		}
		policy, err := restartPolicy(o.restart)
		if err != nil {
			return err
		}
		u := container.UpdateConfig{RestartPolicy: policy, Resources: container.Resources{
			Memory: o.memory, MemorySwap: o.memorySwap, MemoryReservation: o.memoryReservation, NanoCPUs: o.cpus,
			CPUShares: o.cpuShares, CpusetCpus: o.cpusetCpus, CpusetMems: o.cpusetMems,
		}}
		if f.Changed("pids-limit") {
			u.PidsLimit = &o.pidsLimit
		}
		return a.each(c.Context(), args, func(ctx context.Context, c *client.Client, ref string) error {
			out, err := c.ContainerUpdate(ctx, ref, u)
			for _, w := range out.Warnings {
				fmt.Fprintf(a.err, "WARNING: %s\n", w)
			}
			return err
		})
	}
	return c
}
