// Package durable is the commit protocol of everything that layerfs keeps on disk.
//
// A thing is prepared where nobody looks (a staging directory on the same file system), made durable, and then
// brought into view by one rename. The rename is the commit point: a stop before it leaves litter, a stop after it
// leaves the whole thing.
//
//	staging/x/record          images/ab12...
//	  |  write                   .
//	  |  fsync                   .
//	  +------- rename ---------->|      <- commit point
//	                             |  fsync of images/: now it survives a power cut as well
//
// The order is the point of it: what a record names is durable before the record is, and the functions here cannot be
// called in another order by accident.
//
// # Steps
//
// Every step has a name ("chain.staged", "chain.renamed", "chain.durable") and passes through [Reach]. A test
// intercepts the steps to stop the process there or to fail with an error that a disk could give, and so proves the
// contract instead of hoping for it. In a program nothing intercepts and Reach costs one atomic load.
package durable
