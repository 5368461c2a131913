// Command bench measures layerfs beside the programs that its users have today, on this machine, in one run:
//
//	go run ./test/e2e/bench            quick form, under 5 minutes
//	go run ./test/e2e/bench -full      full form, under 30 minutes
//	go run ./test/e2e/bench -tiny      seconds; shows that the code works, its figures mean nothing
//
// It makes its inputs by itself, out of the machine's own /usr and a random generator with a fixed seed.
//
//	/usr, seed -> layer tars -> OCI layouts (plain, gzip, zstd) -> layerfs import, podman load, umoci unpack, ...
//	                  |
//	                  +-> tar x, a folder per layer -> lower directories of fuse-overlayfs and kernel overlayfs
//	                  +-> tar x, all into one       -> the bare file system
//
// A contest is one piece of work that several sides do. In each round every side does it once, and the order of
// the sides changes from round to round, so that none always runs after the same other one. A figure is the median
// over the rounds; a ratio is the median of the ratios within a round, which a load that comes and goes disturbs
// least. All sides must find the same number of entries or bytes, or the contest is void.
//
//   - cold: on a fresh mount; as root also after dropping the kernel's caches, before the mount is made.
//   - warm: the same work a second time on the same mount.
//
// A contest goes on for as many rounds as it is allowed. When its share of the time gets short, the slowest side stops
// first and layerfs last; one round is always made. A side that cannot run here is left out, and a note says why. Whatever happens, an interrupt included, no
// mount, process or file stays behind: everything is below one folder, and clearing it is the last thing done.
//
// [docs/benchmarks.md] tells how to read the tables.
//
// [docs/benchmarks.md]: https://github.com/layerfs/layerfs/blob/main/docs/benchmarks.md
package main
