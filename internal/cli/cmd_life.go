package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/spf13/cobra"

	"silo/client"
	"silo/client/container"
)

// errSkip tells each that a reference was dealt with, and is not to be printed.
var errSkip = errors.New("skip")

// each calls do for every reference, several at a time, and prints those for
// which it worked, in order. The errors of the others are joined.
func (a *app) each(ctx context.Context, refs []string, do func(ctx context.Context, c *client.Client, ref string) error) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	errs := make([]error, len(refs))
	done := make([]chan struct{}, len(refs))
	slots := make(chan struct{}, 50)
	var all sync.WaitGroup
	for i, ref := range refs {
		done[i] = make(chan struct{})
		slots <- struct{}{}
		all.Go(func() {
			errs[i] = do(ctx, c, ref)
			<-slots
			close(done[i])
		})
	}
	for i, ref := range refs {
		<-done[i]
		if errs[i] != nil {
			if errs[i] == errSkip {
				errs[i] = nil
			}
			continue
		}
		if _, err := fmt.Fprintln(a.out, ref); err != nil {
			return err
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// simple makes a command that does one thing to each container.
func simple(a *app, use, short, example string, states []string, do func(context.Context, *client.Client, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " CONTAINER [CONTAINER...]", Short: short, Example: example,
		Args:              minArgs(1),
		ValidArgsFunction: a.completeContainers(0, states...),
		RunE: func(c *cobra.Command, args []string) error {
			return a.each(c.Context(), args, do)
		},
	}
}

func cmdStop(a *app) *cobra.Command {
	return stopLike(a, "stop", "Stop containers: a signal, and KILL if that does not help in time",
		"silo stop web\nsilo stop -t 2 web db", (*client.Client).ContainerStop)
}

func cmdRestart(a *app) *cobra.Command {
	return stopLike(a, "restart", "Stop containers and start them again",
		"silo restart web", (*client.Client).ContainerRestart)
}

func stopLike(a *app, name, short, example string, do func(*client.Client, context.Context, string, client.StopOptions) error) *cobra.Command {
	var o client.StopOptions
	var seconds int
	c := simple(a, name+" [OPTIONS]", short, example, nil, func(ctx context.Context, c *client.Client, ref string) error {
		return do(c, ctx, ref, o)
	})
	f := c.Flags()
	f.StringVarP(&o.Signal, "signal", "s", "", "Signal to send, instead of the container's own")
	f.IntVarP(&seconds, "timeout", "t", 0, "Seconds to wait before KILL, -1 for ever")
	f.IntVar(&seconds, "time", 0, "Seconds to wait before KILL")
	_ = f.MarkHidden("time")
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if f.Changed("timeout") || f.Changed("time") {
			if seconds < -1 {
				return fmt.Errorf("--timeout %d: use seconds, or -1 to wait for ever", seconds)
			}
			o.Timeout = &seconds
		}
		return run(c, args)
	}
	return c
}

func cmdKill(a *app) *cobra.Command {
	var signal string
	c := simple(a, "kill [OPTIONS]", "Send a signal to containers", "silo kill web\nsilo kill -s HUP web", []string{"running", "paused"},
		func(ctx context.Context, c *client.Client, ref string) error {
			return c.ContainerKill(ctx, ref, signal)
		})
	c.Flags().StringVarP(&signal, "signal", "s", "KILL", "Signal to send")
	return c
}

func cmdPause(a *app) *cobra.Command {
	return simple(a, "pause", "Freeze all processes of containers", "silo pause web", []string{"running"},
		func(ctx context.Context, c *client.Client, ref string) error { return c.ContainerPause(ctx, ref) })
}

func cmdUnpause(a *app) *cobra.Command {
	return simple(a, "unpause", "Let frozen containers go on", "silo unpause web", []string{"paused"},
		func(ctx context.Context, c *client.Client, ref string) error { return c.ContainerUnpause(ctx, ref) })
}

func cmdRm(a *app) *cobra.Command {
	var force, volumes bool
	c := simple(a, "rm [OPTIONS]", "Remove containers, and all that they wrote", "silo rm web\nsilo rm -f -v web db", nil,
		func(ctx context.Context, c *client.Client, ref string) error {
			err := c.ContainerRemove(ctx, ref, force, volumes)
			if force && client.Status(err) == 404 {
				fmt.Fprintf(a.err, "silo: %v\n", err)
				return errSkip
			}
			return err
		})
	c.Aliases = []string{"remove"}
	c.Flags().BoolVarP(&force, "force", "f", false, "Kill those that run; a missing one is no error")
	c.Flags().BoolVarP(&volumes, "volumes", "v", false, "Remove their anonymous volumes, too")
	return c
}

func cmdRename(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "rename CONTAINER NAME", Short: "Give a container another name", Example: "silo rename web web-old",
		Args:              exactArgs(2),
		ValidArgsFunction: a.completeContainers(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			return cl.ContainerRename(c.Context(), args[0], args[1])
		},
	}
}

func cmdWait(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "wait CONTAINER [CONTAINER...]", Short: "Wait until containers end and print their exit codes",
		Example:           "silo wait job",
		Args:              minArgs(1),
		ValidArgsFunction: a.completeContainers(0, "running", "paused"),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			var errs []error
			for _, ref := range args {
				code, err := wait(c.Context(), cl, nil, ref, container.WaitConditionNotRunning)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				if _, err := fmt.Fprintln(a.out, strconv.Itoa(code)); err != nil {
					return err
				}
			}
			return errors.Join(errs...)
		},
	}
}

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
