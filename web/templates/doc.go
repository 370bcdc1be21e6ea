// Package templates draws the pages: one flat package of templ components, each a function of a view shaped like the
// screen. A component renders the same for the first paint and for a live frame, so what a socket sends is what a reload
// would show.
//
// It decides nothing: no database, no job, no router. Views carry words and numbers that are already formatted (views.go has
// the formats); what they mean is settled by who fills them. No style attribute and no inline script anywhere, because the
// pages' content policy forbids both: bars are SVG attributes.
package templates
