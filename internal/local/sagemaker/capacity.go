package sagemaker

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"sort"

	"loradeck/internal/local/fault"
	"loradeck/internal/lora"
)

// claim is a place held for copies of a component.
type claim struct {
	copies int
	needs  compute
}

// maxPacked bounds the copies that are packed onto known machines: more never fit on what anybody has.
const maxPacked = 1000

// fit reports whether the copies of all claims have a place on so many instances of a type, each copy whole on one of them. An
// unknown type has room without end.
func fit(kind string, count int, claims []claim) bool {
	machine, known := instances[kind]
	if !known {
		return true
	}
	var copies []compute
	for _, c := range claims {
		if c.copies > maxPacked-len(copies) {
			return false
		}
		copies = append(copies, slices.Repeat([]compute{c.needs}, max(c.copies, 0))...)
	}
	slices.SortStableFunc(copies, func(a, b compute) int { // the greatest first
		return cmp.Or(cmp.Compare(b.NumberOfAcceleratorDevicesRequired, a.NumberOfAcceleratorDevicesRequired), cmp.Compare(b.MinMemoryRequiredInMb, a.MinMemoryRequiredInMb),
			cmp.Compare(b.NumberOfCpuCoresRequired, a.NumberOfCpuCoresRequired))
	})
	free := slices.Repeat([]instance{machine}, max(min(count, len(copies)), 0))
	for _, needs := range copies {
		at := slices.IndexFunc(free, func(left instance) bool {
			return needs.MinMemoryRequiredInMb <= left.memory && needs.NumberOfCpuCoresRequired <= left.cores && needs.NumberOfAcceleratorDevicesRequired <= left.accelerators
		})
		if at < 0 {
			return false
		}
		free[at].memory -= needs.MinMemoryRequiredInMb
		free[at].cores -= needs.NumberOfCpuCoresRequired
		free[at].accelerators -= needs.NumberOfAcceleratorDevicesRequired
	}
	return true
}

// Why a component gets no place, as SageMaker is known to say it: of what is asked of the instances that are there
// (huggingface/skills#215), and of instances that AWS has none of.
var (
	errNoRoom     = lora.Errorf(lora.Conflict, "There is not enough hardware resources on the instances for this endpoint to create a copy of the inference component.")
	errNoCapacity = lora.Errorf(lora.Conflict, "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a different ML instance type or after some time.")
)

// makeRoom holds a place for the copies that a component is to have: those of its body when it is created, and during an update
// those that the wish has beside them for a while. Where managed scaling may still add instances it waits for them. The error
// of a component that finds no place says so; what it held before, it still holds.
func (p *Platform) makeRoom(ctx context.Context, c *componentRow) error {
	wanted, err := wantedPlaces(*c)
	if err != nil {
		return err
	}
	if wanted.placed+wanted.surge > c.placed && p.config.Faults.Take(fault.NoCapacity, c.name, c.endpoint) {
		return errNoCapacity
	}
	for added := false; ; added = true {
		var found bool
		err := p.store.write(ctx, func(tx *sql.Tx) (err error) {
			found, err = p.takePlace(ctx, tx, c, wanted, added)
			return err
		})
		if err != nil || found {
			return err
		}
		if !p.wait(ctx, instanceAddition, p.now()) {
			return context.Cause(ctx)
		}
	}
}

// places are what a component wants to hold, and what must fit meanwhile and in the end.
type places struct {
	placed, surge int
	stages        [][]claim
}

// wantedPlaces gives what a component wants. An update without a rolling policy has all new copies beside all old ones, as
// blue/green deployments do; with one it has a batch of them.
func wantedPlaces(c componentRow) (places, error) {
	is, err := readComponent(c.body)
	if err != nil {
		return places{}, err
	}
	if c.wish == "" {
		n := is.copyCount()
		return places{placed: n, stages: [][]claim{{{n, is.needs()}}}}, nil
	}
	becomes, err := readComponent(c.wish)
	if err != nil {
		return places{}, err
	}
	n := becomes.copyCount()
	w := places{placed: c.placed, surge: min(becomes.batch(max(c.copies, 1)), n)}
	if !becomes.Rollout {
		w.surge = max(n-c.placed, 0)
	}
	w.stages = [][]claim{{{w.placed, is.needs()}, {w.surge, becomes.needs()}}, {{n, becomes.needs()}}}
	return w, nil
}

// takePlace stores the places that a component wants when they are free on its variant, or become so by instances that managed
// scaling has added meanwhile. It reports false when these are still to be added.
func (p *Platform) takePlace(ctx context.Context, tx *sql.Tx, c *componentRow, wanted places, added bool) (bool, error) {
	var text string
	if err := tx.QueryRowContext(ctx, "SELECT variants FROM sm_endpoint WHERE name = ?", c.endpoint).Scan(&text); err != nil {
		return false, fmt.Errorf("read variants of %s: %w", c.endpoint, err)
	}
	var variants []variantShape
	if err := json.Unmarshal([]byte(text), &variants); err != nil {
		return false, fmt.Errorf("read variants of %s: %w", c.endpoint, err)
	}
	at := slices.IndexFunc(variants, func(v variantShape) bool { return v.VariantName == c.variant })
	if at < 0 {
		return false, fmt.Errorf("endpoint %s has no variant %s", c.endpoint, c.variant)
	}
	others, err := p.claims(ctx, tx, c.endpoint, c.variant, c.name)
	if err != nil {
		return false, err
	}
	v := variants[at]
	count, fits := v.leastInstances(func(count int) bool {
		return !slices.ContainsFunc(wanted.stages, func(own []claim) bool { return !fit(v.InstanceType, count, slices.Concat(others, own)) })
	})
	switch more := count > v.instanceCount(); {
	case !fits:
		return false, errNoRoom
	case more && !added:
		return false, nil
	case more:
		if err := setInstances(ctx, tx, c.endpoint, text, at, count); err != nil {
			return false, err
		}
	}
	c.placed, c.surge = wanted.placed, wanted.surge
	_, err = tx.ExecContext(ctx, "UPDATE sm_component SET placed = ?, surge = ? WHERE name = ? AND created_at = ?", c.placed, c.surge, c.name, c.created)
	return true, err
}

// claims are the places that the components of a variant hold, but for one of them.
func (p *Platform) claims(ctx context.Context, tx *sql.Tx, endpoint, variant, but string) ([]claim, error) {
	rows, err := tx.QueryContext(ctx, "SELECT body, wish, placed, surge FROM sm_component WHERE endpoint = ? AND variant = ? AND name <> ? AND base = '' AND placed + surge > 0", endpoint, variant, but)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []claim
	for rows.Next() {
		var c componentRow
		if err := rows.Scan(&c.body, &c.wish, &c.placed, &c.surge); err != nil {
			return nil, err
		}
		for _, held := range []struct {
			body   string
			copies int
		}{{c.body, c.placed}, {c.wish, c.surge}} {
			if held.copies == 0 {
				continue
			}
			shape, err := readComponent(held.body)
			if err != nil {
				return nil, err
			}
			all = append(all, claim{held.copies, shape.needs()})
		}
	}
	return all, rows.Err()
}

// setInstances stores how many instances a variant has.
func setInstances(ctx context.Context, tx *sql.Tx, endpoint, variants string, at, count int) error {
	var all []document
	if err := json.Unmarshal([]byte(variants), &all); err != nil {
		return err
	}
	all[at]["InitialInstanceCount"] = count
	_, err := tx.ExecContext(ctx, "UPDATE sm_endpoint SET variants = ? WHERE name = ?", encoded(all), endpoint)
	return err
}

// instanceCount is how many instances a variant has.
func (v variantShape) instanceCount() int {
	switch {
	case v.InitialInstanceCount != nil:
		return *v.InitialInstanceCount
	case v.ManagedInstanceScaling != nil && v.ManagedInstanceScaling.MinInstanceCount != nil:
		return *v.ManagedInstanceScaling.MinInstanceCount
	}
	return 1
}

// mostInstances is how many it may get by itself.
func (v variantShape) mostInstances() int {
	if s := v.ManagedInstanceScaling; s != nil && s.Status == "ENABLED" && s.MaxInstanceCount != nil {
		return *s.MaxInstanceCount
	}
	return v.instanceCount()
}

// leastInstances is with how many instances, of those that a variant has or may get, something fits; false when with none.
func (v variantShape) leastInstances(fits func(count int) bool) (int, bool) {
	has := v.instanceCount()
	counts := max(v.mostInstances()-has, 0) + 1
	more := sort.Search(counts, func(more int) bool { return fits(has + more) })
	return has + more, more < counts
}
