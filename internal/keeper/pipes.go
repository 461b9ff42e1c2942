package keeper

import (
	"os"

	"silo/internal/linux"
)

// output is one stream from the command.
type output struct {
	name string // stdout, stderr; a terminal is stdout
	code byte   // in Docker's frames: 1 stdout, 2 stderr
	f    *os.File
}

// makePipes makes the pipes of a command without a terminal; those of its
// outputs may have been made ahead. They belong to the container's root, so that
// the command can open /dev/stdout anew.
func (p *process) makePipes(root int, o *outputs) error {
	if err := p.makeInput(root); err != nil {
		o.close()
		return err
	}
	if o == nil {
		var err error
		if o, err = newOutputs(root); err != nil {
			return err
		}
	}
	p.child, p.outs = append(p.child, o.child...), o.outs
	return nil
}

// makeInput makes standard input: a pipe, or nothing to read.
func (p *process) makeInput(root int) error {
	if !p.stdio.OpenStdin {
		null, err := p.keeper.devNull.Dup()
		if err != nil {
			return err
		}
		p.child = append(p.child, null)
		return nil
	}
	r, w, err := linux.Pipe()
	if err != nil {
		return err
	}
	p.child = append(p.child, r)
	p.stdin = w.PollFile()
	return r.Chown(root, root)
}

// outputs are the pipes of standard output and error.
type outputs struct {
	child []*linux.FD // the command's ends
	outs  []*output
}

func newOutputs(root int) (*outputs, error) {
	o := &outputs{}
	for i, name := range []string{"stdout", "stderr"} {
		r, w, err := linux.Pipe()
		if err != nil {
			o.close()
			return nil, err
		}
		o.child = append(o.child, w)
		o.outs = append(o.outs, &output{name: name, code: byte(i + 1), f: r.PollFile()})
		if err := w.Chown(root, root); err != nil {
			o.close()
			return nil, err
		}
	}
	return o, nil
}

// close takes away outputs that no command has got; o may be nil.
func (o *outputs) close() {
	if o == nil {
		return
	}
	for i := range o.child {
		o.child[i].Close()
		o.outs[i].f.Close()
	}
}

// makeOutputs makes the pipes of a parked container's command ahead. If it cannot,
// the start tries again and tells why.
func (c *container) makeOutputs() {
	o, err := newOutputs(int(c.first))
	if err != nil {
		return
	}
	k := c.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-c.gone:
		o.close()
	default:
		c.outputs = o
	}
}

// takeOutputs gives the pipes that were made ahead, once; nil if there are none.
func (c *container) takeOutputs() *outputs {
	c.keeper.mu.Lock()
	defer c.keeper.mu.Unlock()
	o := c.outputs
	c.outputs = nil
	return o
}
