package sagemaker

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"

	"loradeck/internal/lora"
)

// deployment is what is read of how an update is rolled out; all of it is kept and described.
type deployment struct {
	RollingUpdatePolicy struct{ MaximumBatchSize batchSize }
}

type batchSize struct {
	Type  string
	Value int
}

// batch is how many new copies an update starts before as many old ones go: all of them without a rolling policy.
func (s componentShape) batch(copies int) int {
	if s.LastDeploymentConfig == nil {
		return s.copyCount()
	}
	size := s.LastDeploymentConfig.RollingUpdatePolicy.MaximumBatchSize
	if size.Type == "CAPACITY_PERCENT" {
		return (copies*size.Value + 99) / 100
	}
	return size.Value
}

// copyCount is how many copies of a base are asked for.
func (s componentShape) copyCount() int {
	if s.RuntimeConfig == nil {
		return 0
	}
	return s.RuntimeConfig.CopyCount
}

// needs is what each copy of a base takes of an instance.
func (s componentShape) needs() compute {
	if s.Specification == nil || s.Specification.ComputeResourceRequirements == nil {
		return compute{}
	}
	return *s.Specification.ComputeResourceRequirements
}

// progress is a component's state in the words of refusals (huggingface/skills#215).
func (c componentRow) progress() string {
	switch c.status {
	case creating:
		return "CREATE_IN_PROGRESS"
	case deleting:
		return "DELETE_IN_PROGRESS"
	case updating:
		if becomes, err := readComponent(c.wish); err == nil && !becomes.Rollout {
			return "UPDATE_RC_IN_PROGRESS" // of the runtime config
		}
		return "UPDATE_IN_PROGRESS"
	}
	return c.status
}

// unready is the state, in the words of refusals, for which an update is refused of what a component was when it was read. One that
// is settled again has been updated, or made anew, in between.
func (c componentRow) unready(read componentRow) string {
	switch {
	case c.status != inService && c.status != failed:
		return c.progress()
	case c.created != read.created:
		return "DELETE_IN_PROGRESS"
	}
	return "UPDATE_IN_PROGRESS"
}

func (p *Platform) updateComponent(ctx context.Context, in struct {
	sent
	componentShape
	InferenceComponentName string
	DeploymentConfig       *deployment
}) (any, error) {
	row, _, err := p.findComponent(ctx, in.InferenceComponentName)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Specification == nil && in.Specifications == nil && in.RuntimeConfig == nil:
		return nil, invalid("Specification or RuntimeConfig must be given to update inference component %q.", row.name)
	case in.Specification != nil && in.Specifications != nil:
		return nil, invalid("Specification and Specifications exclude each other; the update of inference component %q has both.", row.name)
	}
	wish, err := merged(row.body, in.whole)
	if err != nil {
		return nil, err
	}
	becomes, err := readComponent(encoded(wish))
	if err != nil {
		return nil, err
	}
	if row.base != "" {
		err = p.checkAdapterUpdate(row, in.componentShape, becomes)
	} else {
		err = p.checkBaseUpdate(ctx, row, becomes, in.DeploymentConfig)
	}
	if err != nil {
		return nil, err
	}
	return p.beginUpdate(ctx, row, wish)
}

// checkAdapterUpdate holds an adapter's update to its artifact.
func (p *Platform) checkAdapterUpdate(row componentRow, sent, becomes componentShape) error {
	switch s := sent.Specification; {
	case sent.Specifications != nil:
		return invalid("An inference component with a base takes Specification and no Specifications.")
	case s != nil && s.BaseInferenceComponentName != "" && s.BaseInferenceComponentName != row.base:
		return invalid("The base of inference component %q cannot be changed: create another one on %q.", row.name, s.BaseInferenceComponentName)
	}
	return becomes.Specification.checkAdapter(sent.RuntimeConfig)
}

// checkBaseUpdate holds what a base becomes to what a new one must have, but that it may have no copies.
func (p *Platform) checkBaseUpdate(ctx context.Context, row componentRow, becomes componentShape, how *deployment) error {
	if s := becomes.Specification; s.BaseInferenceComponentName != "" {
		return invalid("Inference component %q has no base and cannot be given one: create another one on %q.", row.name, s.BaseInferenceComponentName)
	}
	if how != nil {
		size := how.RollingUpdatePolicy.MaximumBatchSize
		percent := size.Type == "CAPACITY_PERCENT"
		if percent && (size.Value < 5 || size.Value > 50) || !percent && size.Value > max(row.copies/2, 1) { // said in words by the service model
			return invalid("MaximumBatchSize must be between 5%% and 50%% of the %d copies of inference component %q.", row.copies, row.name)
		}
	}
	_, variants, err := p.findEndpoint(ctx, row.endpoint)
	if err != nil {
		return err
	}
	for _, v := range variants {
		if v.VariantName == row.variant {
			err = becomes.checkTypes(v)
		}
	}
	specifications := becomes.Specifications
	if specifications == nil {
		specifications = []specification{*becomes.Specification}
	}
	for _, s := range specifications {
		if err == nil {
			err = p.asBase(ctx, &row, s, row.variant)
		}
	}
	return err
}

// merged gives what a component becomes by an update. Members of the specification that were sent take the place of those that
// are there, in its container too, and the others stay: a belief, from AWS's sample, which sends an adapter's artifact alone.
func merged(body string, sent document) (document, error) {
	var kept document
	if err := json.Unmarshal([]byte(body), &kept); err != nil {
		return nil, err
	}
	if s := sent.within("Specification"); s != nil {
		kept["Rollout"] = true
		kept["Specification"] = map[string]any(overlaid(kept.within("Specification"), s))
		delete(kept, "Specifications")
	}
	if all, there := sent["Specifications"]; there {
		kept["Specifications"], kept["Rollout"] = all, true
		delete(kept, "Specification")
	}
	if runtime, there := sent["RuntimeConfig"]; there {
		kept["RuntimeConfig"] = runtime
	}
	if how, there := sent["DeploymentConfig"]; there {
		kept["LastDeploymentConfig"] = how
	}
	return kept, nil
}

func overlaid(old, sent document) document {
	result := document{}
	maps.Copy(result, old)
	container := document{}
	maps.Copy(container, old.within("Container"))
	maps.Copy(container, sent.within("Container"))
	maps.Copy(result, sent)
	switch {
	case sent["ModelName"] != nil && sent["Container"] == nil:
		delete(result, "Container")
	case sent["Container"] != nil:
		result["Container"] = map[string]any(container)
		if sent["ModelName"] == nil {
			delete(result, "ModelName")
		}
	}
	return result
}

func (p *Platform) updateRuntimeConfig(ctx context.Context, in struct {
	InferenceComponentName string
	DesiredRuntimeConfig   copies
}) (any, error) {
	row, _, err := p.findComponent(ctx, in.InferenceComponentName)
	if err != nil {
		return nil, err
	}
	if row.base != "" {
		return nil, invalid("Inference component %q has no copies of its own: change the copy count of its base %q.", row.name, row.base)
	}
	wish, err := merged(row.body, document{"RuntimeConfig": document{"CopyCount": in.DesiredRuntimeConfig.CopyCount}})
	if err != nil {
		return nil, err
	}
	return p.beginUpdate(ctx, row, wish)
}

// beginUpdate stores what a component is to become, and begins. One that failed may be updated too, which tries again: a belief.
func (p *Platform) beginUpdate(ctx context.Context, row componentRow, wish document) (any, error) {
	arn := p.arn("inference-component", row.name)
	row.wish, row.modified = encoded(wish), p.now()
	err := p.store.write(ctx, func(tx *sql.Tx) error {
		begun, err := changed(tx.ExecContext(ctx, "UPDATE sm_component SET status = ?, wish = ?, modified_at = ? WHERE name = ? AND created_at = ? AND body = ? AND status IN (?, ?)",
			updating, row.wish, row.modified, row.name, row.created, row.body, inService, failed))
		if err != nil || begun {
			return err
		}
		var now componentRow
		if err := scanComponent(tx.QueryRowContext(ctx, "SELECT "+componentColumns+" FROM sm_component WHERE name = ?", row.name).Scan, &now); err != nil {
			return unlessNil(unlessMissing(err), invalid("Could not find inference component %q.", arn))
		}
		return invalid("Cannot update inference component %q while it is in state %s: it must reach a terminal state first.", arn, now.unready(row))
	})
	if err != nil {
		return nil, err
	}
	row.status = updating
	p.background(func(ctx context.Context) { p.update(ctx, row) })
	return struct{ InferenceComponentArn string }{arn}, nil
}

// update makes a component what it is to become. A restart in the midst of it begins anew with what was there before: what the
// caller was told is done holds, as on AWS, where no client's or server's end takes an update back.
func (p *Platform) update(ctx context.Context, c componentRow) {
	p.awaitBrought(ctx, c.name)
	is, err := readComponent(c.body)
	becomes, wishErr := readComponent(c.wish)
	switch {
	case err != nil || wishErr != nil: // stored by another version
		c.status, c.reason, c.wish, c.surge = failed, "The update cannot be read.", "", 0
		p.settle(ctx, updating, c)
	case c.base != "":
		p.updateAdapter(ctx, c, becomes)
	default:
		p.updateBase(ctx, c, is, becomes)
	}
}

// updateAdapter takes an adapter's old files out of its base's container and registers the new ones under the same name. What
// goes wrong with them is told by invoking it only, as after its creation.
func (p *Platform) updateAdapter(ctx context.Context, c componentRow, becomes componentShape) {
	if !p.wait(ctx, adapterUpdate, c.modified) {
		return
	}
	from := p.fetchedFor(ctx, c, becomes)
	defer p.hold(c.base)()
	err := p.load(ctx, c, from)
	if ctx.Err() != nil {
		return
	}
	c.body, c.wish, c.status, c.reason = asBody(c.wish), "", inService, ""
	if err != nil {
		c.status, c.reason = failed, clip(lora.Message(err))
	}
	p.settle(ctx, updating, c)
}

// updateBase gives a base another container or another number of copies. The old container answers until the new one has
// started and has the adapters. A container that does not start, or has no place, leaves the old one in service and says why;
// copies that have no place leave the component Failed, with those it has.
func (p *Platform) updateBase(ctx context.Context, c componentRow, is, becomes componentShape) {
	kind, scaling := baseUpdate, !becomes.Rollout
	if scaling {
		kind = scalingOut
		if becomes.copyCount() <= c.copies {
			kind = scalingIn
		}
	}
	if !p.wait(ctx, kind, c.modified) {
		return
	}
	err := p.makeRoom(ctx, &c)
	if err == nil {
		err = p.renew(ctx, c, becomes, scaling)
	}
	if ctx.Err() != nil {
		return
	}
	wish := asBody(c.wish)
	c.wish, c.surge, c.body = "", 0, rolledOut(c.body, wish)
	switch {
	case err == nil:
		c.body, c.status, c.reason = wish, inService, ""
		c.copies, c.placed = becomes.copyCount(), becomes.copyCount()
	case scaling:
		c.body, c.status, c.reason = wish, failed, clip(lora.Message(err))
	case p.runs(c.name) || is.copyCount() == 0:
		c.status, c.reason = inService, clip("The update was rolled back: "+lora.Message(err))
	default: // there is nothing to go back to
		c.status, c.reason, c.copies = failed, clip(lora.Message(err)), 0
	}
	if err != nil {
		p.config.Log.WarnContext(ctx, "component not updated", "component", c.name, "err", err)
	}
	p.settle(ctx, updating, c)
}

// asBody gives a wish that has come true as it is kept.
func asBody(wish string) string {
	var kept document
	if json.Unmarshal([]byte(wish), &kept) != nil {
		return wish
	}
	delete(kept, "Rollout")
	return encoded(kept)
}

// rolledOut gives a body that keeps how the last update was rolled out, though that was taken back.
func rolledOut(body, wish string) string {
	var kept, tried document
	if json.Unmarshal([]byte(body), &kept) != nil || json.Unmarshal([]byte(wish), &tried) != nil || tried["LastDeploymentConfig"] == nil {
		return body
	}
	kept["LastDeploymentConfig"] = tried["LastDeploymentConfig"]
	return encoded(kept)
}

// renew makes the container of a base what it is to be. However many copies there are, one container runs here.
func (p *Platform) renew(ctx context.Context, c componentRow, becomes componentShape, scaling bool) error {
	switch {
	case becomes.copyCount() == 0:
		p.stopBase(ctx, c)
		return nil
	case scaling && p.runs(c.name):
		return nil
	}
	b := &base{ready: make(chan struct{})}
	if err := p.start(ctx, b, c, becomes, false); err != nil {
		p.retire(ctx, c.name, b)
		return err
	}
	if err := p.replace(ctx, c, b); err != nil {
		p.retire(ctx, c.name, b)
		return err
	}
	return nil
}

// replace puts a container in the place of the one that runs for a base, once it has the base's adapters.
func (p *Platform) replace(ctx context.Context, c componentRow, b *base) error {
	all, err := p.store.components(ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.base == c.name && a.status != creating { // what a restart still loads into the old one
			p.awaitBrought(ctx, a.name)
		}
	}
	defer p.hold(c.name)()
	if all, err = p.store.components(ctx); err != nil { // those that came meanwhile too
		return err
	}
	shapes := map[string]componentShape{}
	for _, a := range all {
		if a.base != c.name || a.status != inService && a.status != updating {
			continue
		}
		if shapes[a.name], err = readComponent(a.body); err != nil {
			return err // before anything was fetched or given to the container, which nobody would take back
		}
	}
	has := map[string]loaded{}
	for _, a := range all {
		if shape, stays := shapes[a.name]; stays {
			has[a.name] = p.register(ctx, b, a, p.fetchedFor(ctx, a, shape))
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.mu.Lock()
	old := p.bases[c.name]
	p.bases[c.name] = b
	var left []string
	for name, now := range has {
		left = append(left, p.loaded[name].dir)
		p.loaded[name] = now
	}
	p.mu.Unlock()
	p.background(func(ctx context.Context) {
		if old != nil {
			p.retire(ctx, c.name, old)
		}
		p.clear(ctx, left)
	})
	return nil
}
