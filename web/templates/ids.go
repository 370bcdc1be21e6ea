package templates

import "strconv"

// Ids of the regions that live frames replace. Template, handler and test use the same names.
const (
	IDDeck = "deck"
	IDTray = "tray-jobs"
	IDJob  = "job"
	IDJobs = "jobs"
	IDRun  = "run"
)

// IDPane names pane n of the comparison on the page; panes count from 0.
func IDPane(n int) string { return "pane-" + strconv.Itoa(n) }
