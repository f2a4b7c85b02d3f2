// Package refmodel holds the slow, obvious version of each offload. Nothing
// here is fast, reuses memory or takes a shortcut: it is to be believed by
// reading. Each offload's fuzz target holds that its fast version gives the
// same result.
package refmodel
