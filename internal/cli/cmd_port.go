package cli

import (
	"fmt"
	"io"
	"net"
	"sort"

	"github.com/moby/moby/api/types/network"
	"github.com/spf13/cobra"
)

func cmdPort(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "port CONTAINER [PORT[/PROTOCOL]]",
		Short: "Show where ports of a container are published",
		Example: `silo port web
silo port web 80/tcp`,
		Args: func(c *cobra.Command, args []string) error {
			if err := minArgs(1)(c, args); err != nil {
				return err
			}
			return maxArgs(2)(c, args)
		},
		ValidArgsFunction: a.completeContainers(1),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		i, err := cl.ContainerInspect(c.Context(), args[0], false)
		if err != nil {
			return err
		}
		var ports network.PortMap
		if i.Value.NetworkSettings != nil {
			ports = i.Value.NetworkSettings.Ports
		}
		if len(args) == 2 {
			return printPort(a.out, ports, args[0], args[1])
		}
		return printPorts(a.out, ports)
	}
	return c
}

func binding(b network.PortBinding) string {
	host := "0.0.0.0"
	if b.HostIP.IsValid() {
		host = b.HostIP.String()
	}
	return net.JoinHostPort(host, b.HostPort)
}

func printPort(w io.Writer, ports network.PortMap, ref, want string) error {
	p, err := network.ParsePort(want)
	if err != nil {
		return fmt.Errorf("port: %w", err)
	}
	if len(ports[p]) == 0 {
		return fmt.Errorf("port: %s of container %s is not published", p, ref)
	}
	for _, b := range ports[p] {
		if _, err := fmt.Fprintln(w, binding(b)); err != nil {
			return err
		}
	}
	return nil
}

func printPorts(w io.Writer, ports network.PortMap) error {
	keys := make([]network.Port, 0, len(ports))
	for p := range ports {
		keys = append(keys, p)
	}
	sort.Slice(keys, func(i, j int) bool {
		if keys[i].Num() != keys[j].Num() {
			return keys[i].Num() < keys[j].Num()
		}
		return keys[i].Proto() < keys[j].Proto()
	})
	for _, p := range keys {
		for _, b := range ports[p] {
			if _, err := fmt.Fprintf(w, "%s -> %s\n", p, binding(b)); err != nil {
				return err
			}
		}
	}
	return nil
}
