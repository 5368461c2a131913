// Package e2e tests layerfs from the outside: it builds the program, runs it
// as a user would, and looks at what comes out with other people's tools.
//
//	go test ./test/e2e
//
// # Who runs the tests
//
// layerfs is for people without root, so every test runs as a plain user. Where the
// suite is started by root it runs twice, side by side: once as root and once
// as the first ordinary account of the machine (else nobody), in a second copy
// of the test process that has given its rights up. Nothing in a test switches
// users; a test sees one user, the one it runs as, and asks asRoot where the
// two differ.
//
//	go test ./test/e2e (root)
//	  |-- builds layerfs, makes fixtures, copies images into a shared folder
//	  |-- e2e.test, as root
//	  `-- e2e.test, as the plain user
//
// A plain user's mount cannot be entered by anybody else, not even by root:
// that is why the whole test process changes its user and not only the program.
//
// # What is believed
//
// Expected values never come from layerfs. Layers and images are written by
// Python's tarfile, GNU tar or the tools that made the images of other projects;
// trees are compared with what an independent reader in testdata/py makes
// of the same tars (itself compared with the listing of GNU tar); digests
// come from sha256sum; images saved are read by skopeo.
//
// # Settings
//
//	LAYERFS_BIN          test this program instead of building one
//	LAYERFS_TEST_IMAGES  a folder of real images; default: shared/images beside
//	                     the repository; without one those tests use the
//	                     images they make themselves
//	LAYERFS_E2E_AS       root, user or both (the default when root)
//	LAYERFS_E2E_USER     the plain user's name or number
//	LAYERFS_E2E_KILLS    how often each kill test kills (default 10)
//	LAYERFS_E2E_SECONDS  how long the processes race each other (default 15)
package e2e
