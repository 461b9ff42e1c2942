package erofs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Xattr is an extended attribute, named with its prefix ("user.note").
type Xattr struct{ Name, Value string }

// Dirent is a name in a directory. An inode that is not a directory may stand
// behind any number of names: these are its hard links.
type Dirent struct {
	Name  string // bytes, as they are
	Inode *Inode
}

// Inode is a file, directory, symbolic link or fifo. The caller fills the
// exported fields; Mode and Xattrs of a file before Writer.Write.
type Inode struct {
	Mode     uint16 // type and permissions, as in stat(2)
	UID, GID uint32
	Sec      int64  // modification time, seconds since 1970, may be negative
	Nsec     uint32 // … and nanoseconds, below 1e9
	Xattrs   []Xattr
	Target   string   // of a symbolic link
	Entries  []Dirent // of a directory, in any order, without "." and ".."

	size    int64
	nid     uint64 // 0 until it has a place
	nlink   uint32
	block   uint32 // first block of content
	layout  uint8
	chunk   uint8 // bits of the chunk size, for layoutChunk
	written bool
	tail    []byte // the part of the content that follows the inode
	runs    []run  // of layoutChunk
	last    int    // of a directory: first entry of its last block
}

// run is a row of chunks that lie one after the other, or a hole.
type run struct {
	chunks uint32
	block  uint32 // nullBlock for a hole
}

// Size gives the length of the content in bytes.
func (n *Inode) Size() int64 { return n.size }

func (n *Inode) isDir() bool { return n.Mode&TypeMask == TypeDir }

// union gives the field whose meaning depends on the layout.
func (n *Inode) union() uint32 {
	switch {
	case n.layout == layoutChunk:
		return uint32(n.chunk) - blockBits
	case n.layout == layoutInline && n.size < blockSize:
		return nullBlock
	}
	return n.block
}

// Output is where an image goes: bytes in order, and the superblock at the end
// by position. An *os.File at its start, not opened for appending, is one.
type Output interface {
	io.Writer
	io.WriterAt
}

const (
	// A tail up to this size follows its inode instead of taking a block.
	maxTail = blockSize / 2
	// … as long as all tails, kept in memory until Close, take no more.
	maxTails = 64 << 20
	// Files from this size on are searched for holes, in pieces of this size
	// at least: smaller ones would cut reads into too many requests.
	sparseMin  = 1 << 20
	sparseUnit = 64 << 10
	// A file has at most so many chunks: their list is 256 KiB.
	maxChunks = 1 << 16
)

// Writer writes one image.
type Writer struct {
	out     Output
	buf     *bufio.Writer
	copy    []byte // for content on its way
	pos     int64  // bytes given to buf
	uuid    [16]byte
	chunked bool // a file with holes was written
	tails   int64
	arena   []byte // free part of the memory for tails
	err     error
}

// NewWriter starts an image. uuid names it to the host's tools.
func NewWriter(out Output, uuid [16]byte) *Writer {
	w := &Writer{out: out, buf: bufio.NewWriterSize(out, 1<<20), copy: make([]byte, 1<<20), uuid: uuid}
	w.zeros(blockSize) // the superblock's, see Close
	return w
}

// ErrTooLarge is returned when an image would pass the 16 TiB of the format.
var ErrTooLarge = errors.New("the file system would be larger than 16 TiB")

// Write stores the content of the regular file n: exactly size bytes from r,
// io.ErrUnexpectedEOF if r has fewer. Call it at most once for an inode, none
// for an empty file. After an error the Writer is of no more use.
func (w *Writer) Write(n *Inode, r io.Reader, size int64) error {
	switch {
	case w.err != nil:
		return w.err
	case n.Mode&TypeMask != TypeReg:
		w.err = errors.New("write content: not a regular file")
	case n.written || size < 0:
		w.err = errors.New("write content: a second time, or with a negative size")
	case size > (nullBlock-1)<<blockBits:
		w.err = ErrTooLarge
	}
	if w.err != nil {
		return w.err
	}
	n.size, n.written, n.block, n.layout = size, true, w.block(), layoutPlain
	switch {
	case size == 0:
		n.block = 0
	case size >= sparseMin:
		w.err = w.writeSparse(n, r)
	default:
		w.err = w.writeSmall(n, r)
	}
	if w.err == nil {
		w.pad()
	}
	if w.err == nil && w.pos>>blockBits >= nullBlock {
		w.err = ErrTooLarge
	}
	return w.err
}

// writeSmall stores a file that is not searched for holes.
func (w *Writer) writeSmall(n *Inode, r io.Reader) error {
	b := w.copy[:n.size]
	if _, err := io.ReadFull(r, b); err != nil {
		return noEOF(err)
	}
	tail := len(b) % blockSize
	head := inodeSize + xattrSize(n.Xattrs)
	if tail > 0 && tail <= maxTail && head+tail <= blockSize && w.tails+int64(tail) <= maxTails {
		n.layout = layoutInline
		n.tail = w.keep(b[len(b)-tail:])
		b = b[:len(b)-tail]
	}
	w.put(b)
	return w.err
}

// keep copies a tail into memory of its own.
func (w *Writer) keep(b []byte) []byte {
	if len(w.arena) < len(b) {
		w.arena = make([]byte, 1<<20)
	}
	kept := w.arena[:len(b):len(b)]
	w.arena = w.arena[len(b):]
	w.tails += int64(copy(kept, b))
	return kept
}

// writeSparse stores a file and leaves out the chunks that hold only zeros.
// A chunk's leading zeros are only counted until its first other byte.
func (w *Writer) writeSparse(n *Inode, r io.Reader) error {
	n.chunk = chunkBits(n.size)
	chunk := int64(1) << n.chunk
	for at := int64(0); at < n.size; at += chunk {
		length := min(chunk, n.size-at)
		start, zeros := w.block(), int64(0)
		for done := int64(0); done < length && w.err == nil; {
			b := w.copy[:min(sparseUnit, length-done)]
			if _, err := io.ReadFull(r, b); err != nil {
				return noEOF(err)
			}
			done += int64(len(b))
			if zeros == done-int64(len(b)) && allZero(b) {
				zeros = done
				continue
			}
			if zeros == done-int64(len(b)) {
				w.zeros(zeros)
				zeros = -1
			}
			w.put(b)
		}
		if w.err != nil {
			return w.err
		}
		if zeros == length {
			start = nullBlock
			n.layout = layoutChunk
		}
		n.addChunk(start)
	}
	if n.layout == layoutChunk {
		w.chunked = true
	} else {
		n.runs = nil
	}
	return nil
}

// chunkBits gives the logarithm of the chunk size for a file of size bytes.
func chunkBits(size int64) uint8 {
	bits := uint8(16)
	for size>>bits >= maxChunks {
		bits++
	}
	return bits
}

// addChunk appends a chunk to the runs of a file.
func (n *Inode) addChunk(block uint32) {
	if l := len(n.runs); l > 0 {
		r := &n.runs[l-1]
		next := uint64(r.block) + uint64(r.chunks)<<(n.chunk-blockBits)
		if block == nullBlock && r.block == nullBlock || block != nullBlock && r.block != nullBlock && next == uint64(block) {
			r.chunks++
			return
		}
	}
	n.runs = append(n.runs, run{1, block})
}

// zeroPage is compared with and written from.
var zeroPage = strings.Repeat("\x00", 4096)

func allZero(b []byte) bool {
	for len(b) >= len(zeroPage) {
		if string(b[:len(zeroPage)]) != zeroPage {
			return false
		}
		b = b[len(zeroPage):]
	}
	return string(b) == zeroPage[:len(b)]
}

// block gives the number of the block that the next byte goes to.
func (w *Writer) block() uint32 { return uint32(w.pos >> blockBits) }

func (w *Writer) put(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.buf.Write(b)
	w.pos += int64(n)
	if err != nil {
		w.err = fmt.Errorf("write file system: %w", err)
	}
}

func (w *Writer) zeros(n int64) {
	for ; n > 0 && w.err == nil; n -= int64(len(zeroPage)) {
		k := min(n, int64(len(zeroPage)))
		m, err := w.buf.WriteString(zeroPage[:k])
		w.pos += int64(m)
		if err != nil {
			w.err = fmt.Errorf("write file system: %w", err)
		}
	}
}

// pad writes zeros up to the end of the block.
func (w *Writer) pad() {
	if over := w.pos % blockSize; over != 0 {
		w.zeros(blockSize - over)
	}
}

// noEOF turns an early end of content into io.ErrUnexpectedEOF.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
