package keeper

import (
	"errors"
	"os"
	"time"

	"silo/internal/linux"
)

// debt is what a client who reads slowly has not got yet of the output of a
// command that has ended.
type debt struct {
	conn  *os.File
	rest  []byte
	until time.Time // then the client has had its chance
}

// owe pays a debt in the background, over upgrades. It takes the connection.
func (k *Keeper) owe(d *debt) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.debts[d] = true
	k.startPaying(d)
}

// startPaying runs the pump of a debt; the caller holds k.mu.
func (k *Keeper) startPaying(d *debt) {
	if k.frozen { // the next program's
		return
	}
	_ = d.conn.SetWriteDeadline(d.until)
	k.pumps.Add(1)
	go k.pay(d)
}

func (k *Keeper) pay(d *debt) {
	defer k.pumps.Done()
	n, err := d.conn.Write(d.rest)
	k.mu.Lock()
	d.rest = d.rest[n:]
	if errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(d.until) { // stopped by freeze
		k.mu.Unlock()
		return
	}
	delete(k.debts, d)
	k.mu.Unlock()
	linux.EndFile(d.conn)
	d.conn.Close()
}

// savedDebt is a debt across an exec.
type savedDebt struct {
	Conn  int
	Rest  []byte
	Until time.Time
}

// saveDebts writes down the debts; the caller holds k.mu.
func (k *Keeper) saveDebts() (out []savedDebt) {
	for d := range k.debts {
		out = append(out, savedDebt{linux.RawFD(d.conn), d.rest, d.until})
	}
	return out
}

// restoreDebts takes over what the former program owed; it gives the
// descriptors.
func (k *Keeper) restoreDebts(list []savedDebt) (numbers []int) {
	for _, s := range list {
		k.debts[&debt{linux.NewFD(s.Conn, "client").PollFile(), s.Rest, s.Until}] = true
		numbers = append(numbers, s.Conn)
	}
	return numbers
}
