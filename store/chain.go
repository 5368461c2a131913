package store

import (
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/layerfs/layerfs/internal/durable"
)

// A Chain is a layer on top of its parents: chains/sha256/<chainid>. All of it but Created follows from the layers.
type Chain struct {
	ID       digest.Digest `json:"chainID"`
	DiffID   digest.Digest `json:"diffID"`           // the top layer
	Parent   digest.Digest `json:"parent,omitempty"` // ChainID of the rest; "" for a base
	Depth    int           `json:"depth"`            // number of layers
	DiffSize int64         `json:"diffSize"`         // bytes of the top layer's regular files
	Size     int64         `json:"size"`             // sum of DiffSize over all layers
	Created  time.Time     `json:"created"`
}

// ChainID is the id of the layer diffID on top of the chain parent ("" for none), as the OCI image-spec defines it
// (config.md, "Layer ChainID"): the DiffID of a base, else SHA-256 of "parent diffID".
func ChainID(parent, diffID digest.Digest) digest.Digest {
	if parent == "" {
		return diffID
	}
	return digest.FromString(parent.String() + " " + diffID.String())
}

// chainPath is the record of a chain, relative to the root.
func chainPath(id digest.Digest) string { return "chains/sha256/" + id.Encoded() }

// Chain reads one chain. ErrNotFound, ErrCorrupt.
func (s *Store) Chain(id digest.Digest) (Chain, error) {
	if err := checkDigest(id); err != nil {
		return Chain{}, err
	}
	var c Chain
	path := s.path(chainPath(id))
	if err := readRecord(path, "chain", &c); gone(err) {
		return Chain{}, fmt.Errorf("chain %s: %w", id, ErrNotFound)
	} else if err != nil {
		return Chain{}, err
	}
	if c.ID != id || checkDigest(c.DiffID) != nil || ChainID(c.Parent, c.DiffID) != id {
		return Chain{}, corrupt(path, "it is the record of chain %s (layer %s on %q)", c.ID, c.DiffID, c.Parent)
	}
	return c, nil
}

// Chains lists all chains by id. What cannot be read does not hide the others: the error names it, the list has the rest.
func (s *Store) Chains() ([]Chain, error) {
	return listDigests(s, "chains/sha256", s.Chain)
}

// Ancestry gives the chain id and all below it, the base first: one Chain for each layer. The empty chain has none.
func (s *Store) Ancestry(id digest.Digest) ([]Chain, error) {
	var up []Chain
	for id != "" {
		c, err := s.Chain(id)
		if err != nil {
			if len(up) > 0 {
				return nil, fmt.Errorf("parent of chain %s: %w", up[len(up)-1].ID, err)
			}
			return nil, err
		}
		up = append(up, c)
		id = c.Parent
	}
	for i, j := 0, len(up)-1; i < j; i, j = i+1, j-1 {
		up[i], up[j] = up[j], up[i]
	}
	return up, nil
}

// AddChain puts the unpacked layer diffID on top of the chain parent ("" for a base). A chain that exists is returned
// as it is. ErrNotFound: no such parent or layer. Call it under the Use that covers the Unpack.
//
// Steps: chain.staged, chain.renamed, chain.durable.
func (s *Store) AddChain(parent, diffID digest.Digest) (Chain, error) {
	release, err := s.Use()
	if err != nil {
		return Chain{}, err
	}
	defer release()
	l, err := s.Layer(diffID)
	if err != nil {
		return Chain{}, err
	}
	c := Chain{
		ID: ChainID(parent, diffID), DiffID: diffID, Parent: parent,
		Depth: 1, DiffSize: l.ContentBytes, Size: l.ContentBytes, Created: now(),
	}
	if parent != "" {
		p, err := s.Chain(parent)
		if err != nil {
			return Chain{}, fmt.Errorf("parent: %w", err)
		}
		c.Depth += p.Depth
		c.Size += p.Size
	}
	// The layer and the parent may be another process' work of this very moment, renamed and not yet durable: make
	// them so before there is a record that needs them.
	for _, dir := range []string{"layers/sha256", "chains/sha256"} {
		if err := durable.SyncDir(s.path(dir)); err != nil {
			return Chain{}, err
		}
	}
	if have, err := s.Chain(c.ID); err == nil {
		return have, nil
	}
	// Not there, or damaged: either way this is the right record.
	if err := s.commitRecord("chain", s.path(chainPath(c.ID)), c); err != nil {
		return Chain{}, err
	}
	return c, nil
}

// now is the time for a record: UTC, so that records of one moment read the same everywhere.
func now() time.Time { return time.Now().UTC() }
