// Package sys holds the few Linux calls which the standard library does not offer in the form that layerfs needs.
//
// Every function is a thin wrapper: one call or one loop, errors as *os.PathError or *os.LinkError so that the
// object is named, EINTR retried. Nothing here knows what a store, a layer or a mount is.
package sys
