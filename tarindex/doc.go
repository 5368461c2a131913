// Package tarindex turns layer tars into indexes and contents, and back.
package tarindex
