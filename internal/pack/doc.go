// Package pack keeps many small contents in one file.
//
// A file of its own for each of 26,000 contents costs more time in the kernel (create, write, rename, later open) than
// all the work of reading and hashing them. In a pack a content costs a copy into a buffer, and a lookup costs no
// system call at all.
//
//	┌────────┬───────────┬──────────┬─── ─── ─┬─────────────────────┬────────┐
//	│ header │ content 1 │ content 2│   ...   │ table               │ footer │
//	└────────┴───────────┴──────────┴─── ─── ─┴─────────────────────┴────────┘
//	 16 bytes  back to back, no padding        48 bytes per content   64 bytes
//
// All numbers are little-endian.
//
//	header   magic "layerfsP", version uint32, 0 uint32
//	table    for each content: hash [32], offset uint64, size uint64; sorted by hash, each hash once
//	footer   table offset uint64, count uint64, version uint32, 0 uint32, sum [32], magic "Pfsreyal"
//
// The sum is the SHA-256 of the table and the first 24 bytes of the footer. In hexadecimal it is also the name that the
// file is meant to have. So a damaged or cut off table is found by the name, and a damaged content by its hash: every
// byte that somebody could believe is covered. A pack never changes; no byte of it is found by anything but the table.
//
// # Reading
//
// The table is mapped, so that all processes share one copy, and searched by interpolation: hashes are uniform, so that
// the guess is near and a few probes do. Contents are read with pread, never through a mapping: a disk that fails is then
// an error to who reads the file, and not a signal that ends the process. Whatever a table says, no answer leads outside of the part of the file that holds contents.
//
// # Writing
//
// A [Writer] takes contents from several goroutines, in any order. It does not sync: whoever makes a pack makes many
// files, and one syncfs for all of them.
package pack
