package templates

import "strconv"

// Ids of the regions that live frames replace. Template, handler and test use the same names.
const (
	IDPage = "page" // everything but the tray: what moving to another page swaps
	IDDeck = "deck"
	IDTray = "tray-jobs"
	IDJob  = "job"
	IDJobs = "jobs"
	IDRun  = "run"

	IDUpload  = "upload"  // what has arrived and what the checks say
	IDGate    = "gate"    // whether it can be deployed, and the calls that would be made
	IDUploads = "uploads" // the list of open uploads
	IDLocal   = "local"   // how the local place is, and what is set to go wrong there
	IDAdapter = "adapter" // one adapter's versions, deployments and jobs
)

// IDPane names pane n of the comparison on the page; panes count from 0.
func IDPane(n int) string { return "pane-" + strconv.Itoa(n) }
