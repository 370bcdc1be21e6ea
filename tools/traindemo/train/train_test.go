package train

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// randomBatch has a prediction in three that counts for nothing, as the questions do when an adapter learns.
func randomBatch(n *Net, seed uint64) Batch {
	random := rand.New(rand.NewPCG(seed, 9))
	var b Batch
	for range n.batch * (n.length + 1) {
		b.Tokens = append(b.Tokens, random.IntN(n.Vocab))
	}
	for i := range n.batch * n.length {
		b.Weights = append(b.Weights, float32(i%3))
	}
	return b
}

func TestGradientsAreTheSlopesOfTheLoss(t *testing.T) {
	t.Parallel()
	n := New(Shape{Vocab: 32, Hidden: 32, Inner: 48, Layers: 2, Heads: 4, KVHeads: 2, Theta: 10000, Eps: 1e-5}, 2, 16, 2, 3)
	defer n.Close()
	random := rand.New(rand.NewPCG(1, 1))
	for _, w := range n.all() {
		if w.rows == 1 { // norms begin at one: tell their columns apart
			for i := range w.value {
				w.value[i] += float32(random.NormFloat64()) * 0.1
			}
		}
	}
	batch := randomBatch(n, 4)
	n.Step(batch)
	for at, w := range n.all() {
		slope, value := copied(w.slope), copied(w.value)
		var squares float64
		for _, g := range slope {
			squares += float64(g) * float64(g)
		}
		steepness := math.Sqrt(squares)
		const far = 2e-3
		// All values of a weight are moved along its gradient: single ones drown in float32's rounding.
		lossAt := func(way float64) float64 {
			for i := range w.value {
				w.value[i] = value[i] + float32(way*far*float64(slope[i])/steepness)
			}
			return n.Loss(batch)
		}
		got := (lossAt(1) - lossAt(-1)) / (2 * far)
		copy(w.value, value)
		if math.Abs(got-steepness) > 0.02*steepness {
			t.Errorf("weight %d [%d, %d]: the loss rises by %g along the gradient, whose length is %g", at, w.rows, w.cols, got, steepness)
		}
	}
}

func copied(values []float32) []float32 { return append([]float32(nil), values...) }

func trainedShape() Shape {
	return Shape{Vocab: 256, Hidden: 64, Inner: 160, Layers: 2, Heads: 4, KVHeads: 2, Theta: 10000, Eps: 1e-5}
}

// trained gives the files of a base and an adapter after a few steps.
func trained(t *testing.T, threads int) (base, adapter []byte) {
	t.Helper()
	n := New(trainedShape(), 4, 64, threads, 3)
	defer n.Close()
	for step := range 3 {
		n.Step(randomBatch(n, uint64(step)))
		n.Learn(1e-3, 0.1)
	}
	var weights bytes.Buffer
	if err := n.WriteBase(&weights); err != nil {
		t.Fatal(err)
	}
	adapter = trainedAdapter(t, n)
	var after bytes.Buffer
	if err := n.WriteBase(&after); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(weights.Bytes(), after.Bytes()) {
		t.Error("the base is not what it was before the adapter was trained")
	}
	return weights.Bytes(), adapter
}

// trainedAdapter gives the file of an adapter after a few steps, and leaves the net as it was.
func trainedAdapter(t *testing.T, n *Net) []byte {
	t.Helper()
	ad := n.NewAdapter(4, 8, 5)
	defer ad.Detach()
	for step := range 3 {
		n.Step(randomBatch(n, uint64(10+step)))
		ad.Learn(1e-2)
	}
	var file bytes.Buffer
	if err := ad.WriteAdapter(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestAnyNumberOfThreadsTrainsTheSameBytes(t *testing.T) {
	t.Parallel()
	base, adapter := trained(t, 1)
	for _, threads := range []int{2, 3} {
		otherBase, otherAdapter := trained(t, threads)
		if !bytes.Equal(base, otherBase) || !bytes.Equal(adapter, otherAdapter) {
			t.Errorf("%d threads train other bytes than one", threads)
		}
	}
}

func TestAnAdapterOnTheWrittenBaseIsTheSameToTheByte(t *testing.T) {
	t.Parallel()
	base, adapter := trained(t, 2)
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := os.WriteFile(path, base, 0o644); err != nil {
		t.Fatal(err)
	}
	n := New(trainedShape(), 4, 64, 2, 3)
	defer n.Close()
	if err := n.ReadBase(path); err != nil {
		t.Fatal(err)
	}
	if again := trainedAdapter(t, n); !bytes.Equal(adapter, again) {
		t.Error("an adapter trained on the file has other bytes than one trained right after the base")
	}
	other := trainedShape()
	other.Layers++
	small := New(other, 4, 64, 1, 3)
	defer small.Close()
	if err := small.ReadBase(path); err == nil {
		t.Error("a net with one more layer took the base")
	}
}

func TestAnAdapterLearnsAndLeavesTheBaseAlone(t *testing.T) {
	t.Parallel()
	n := New(Shape{Vocab: 64, Hidden: 32, Inner: 48, Layers: 2, Heads: 4, KVHeads: 2, Theta: 10000, Eps: 1e-5}, 2, 16, 1, 3)
	defer n.Close()
	batch := randomBatch(n, 1)
	before := n.Loss(batch)
	ad := n.NewAdapter(8, 16, 1)
	if got := n.Loss(batch); got != before {
		t.Errorf("a new adapter changes the loss from %g to %g", before, got)
	}
	for range 40 {
		n.Step(batch)
		ad.Learn(1e-2)
	}
	if got := n.Loss(batch); got > 0.75*before {
		t.Errorf("after 40 steps the loss is %g, it was %g", got, before)
	}
	ad.Detach()
	if got := n.Loss(batch); got != before {
		t.Errorf("without the adapter the loss is %g, it was %g", got, before)
	}
}
