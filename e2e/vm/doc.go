// Package vm tests Silo on another kernel than that of this host: Debian's own,
// with cgroups of version 2 alone, in a virtual machine that tools/vm makes. The
// stories of package e2e run there, and power cuts that no host survives.
package vm
