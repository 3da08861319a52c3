// Package toggles turns configuration into settings and flags into decisions. It is the only importer of OpenFeature.
//
// # The words
//
// A document is one source of configuration: the built-in one, or a file. A layer is a set of documents or variables that
// overrides another. A toggle is what one layer says about a flag. A decision is what the [Gate] answers for a flag, with
// everything that led to it.
//
// # From configuration to decisions
//
//	built-in ─┐
//	files ────┼─▶ Loader ──▶ Loaded ──▶ Settings S, for the app
//	variables ┤   (koanf)        └────▶ Flags ──▶ Gate ──▶ OpenFeature provider
//	--set ────┘                                    ▲             │ evaluated when something changed
//	                                               │             ▼
//	files change ──▶ Watcher ──▶ load again ───────┘       snapshot ──▶ Decide: an atomic load
//
// Precedence, lowest first: the defaults of the settings struct, the built-in document, its overlay for the environment,
// the files in their order, their overlays, environment variables, --set. Of flags, the kill list is above them all.
//
// A load is all or nothing. While the app runs, a document that can't be used changes nothing: the last good state holds and
// [Gate.LastError] says what is wrong, until the next good edit. Likewise a decision holds while the OpenFeature provider
// is not ready, stale or wrong.
//
// # Three keys that every settings struct has
//
//	toggles:      { kubernetesAggregator: true, automation: dryrun } # a bool, or the name of a variant
//	context:      { environment: dev, instance: host-1, region: eu } # OpenFeature evaluation context; instance is the targeting key
//	environments: { prod: { toggles: { automation: false } } }       # overlays any other key while the environment is prod
//
// The words true, false, on, off, yes and no are booleans in toggles however they are quoted, in any case: a variant can't
// have such a name, and nobody who writes "no" wants the module on.
//
// Changes of toggles, context and environments apply while the app runs; [Options].OnReload hears which other settings
// changed, so that the app can say that it has to be restarted for them.
package toggles
