// Package erofs writes EROFS images: read-only file systems that the Linux
// kernel mounts straight from a file. It writes uncompressed images of regular
// files, directories, symbolic links and fifos, with hard links, 32-bit
// owners, times in nanoseconds, extended attributes and holes. It neither
// reads images nor touches the kernel.
//
// Why not a library: github.com/erofs/go-erofs v0.3.1 gives every name an
// inode of its own (its writer has SetNlink but no Link, so two hard links are
// two files that both claim two links) and stores POSIX ACLs under a name that
// the kernel does not look up. Its reader is used in the tests.
//
// An image is written in one pass, data first:
//
//	block 0          superblock at byte 1024, written last, so that an image
//	                 that was not finished is not an image
//	block 1 …        content of files, in the order of Writer.Write
//	                 full blocks of large directories and links
//	metadata block … inodes in depth-first order, each followed by its extended
//	                 attributes and by the tail of its content if that is small
//
// The same calls give the same bytes.
//
// Numbers are from the kernel's fs/erofs/erofs_fs.h and
// Documentation/filesystems/erofs.rst; the images need Linux 5.15 (files with
// holes), and 6.12 to be mounted without a loop device.
package erofs
