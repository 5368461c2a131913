package store_test

import "github.com/layerfs/layerfs/store"

var operations []struct {
	name string
	run  func(*store.Store) error
}
