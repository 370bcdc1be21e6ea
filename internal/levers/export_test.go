package levers

// Follow is Run with a test's ticks.
var Follow = (*Panel).follow
