package availability

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/detectviz/switchyard/modules/aggregator/kube/backend"
)

// verdict is the outcome of a check.
type verdict struct {
	available bool
	reason    string
	message   string
	waits     bool // for a change of the registration: time alone does not heal it
}

// check finds out about one APIService, makes it known and decides when to do so again.
func (c *Controller) check(ctx context.Context, name string) {
	checking, end := c.running.begin(ctx, name)
	defer end()
	service, err := c.services.Get(name)
	if apierrors.IsNotFound(err) || err == nil && service.Spec.Service == nil {
		c.view.forget(name)
		c.queue.Forget(name)
		return
	}
	if err != nil {
		c.retry(name, "reading the registration", err)
		return
	}
	v, err := c.judge(checking, service)
	if context.Cause(checking) != nil {
		return // the controller stops, or the next check is in the queue already
	}
	if errors.Is(err, backend.ErrNotSynced) {
		c.queue.AddRateLimited(name)
		return
	}
	if err != nil {
		c.retry(name, "checking the backend", err)
		return
	}
	c.publish(name, v)
	if err := c.write(checking, service, v); err != nil {
		if context.Cause(checking) == nil {
			c.retry(name, "writing the status", err)
		}
		return
	}
	switch {
	case v.available, v.waits:
		c.queue.Forget(name)
		c.queue.AddAfter(name, wait.Jitter(c.settings.Resync*4/5, 0.5))
	default:
		c.queue.AddRateLimited(name)
	}
}

// judge asks the steps of a check in turn; the first one with a verdict ends it.
func (c *Controller) judge(ctx context.Context, service *apiregistration.APIService) (verdict, error) {
	at, v, err := c.resolve(service)
	if v != nil || err != nil {
		return deref(v), err
	}
	return c.probe(ctx, service, at)
}

func deref(v *verdict) verdict {
	if v == nil {
		return verdict{}
	}
	return *v
}

// retry has the check repeated after a problem of our own, which says nothing about the backend.
func (c *Controller) retry(name, doing string, err error) {
	if !apierrors.IsConflict(err) { // somebody else wrote, and we hear of it
		c.Log.Warn("the availability of an API service could not be updated", "apiservice", name, "while", doing, "error", err)
	}
	c.queue.AddRateLimited(name)
}

// publish puts a verdict into the view and logs it if the availability changed.
func (c *Controller) publish(name string, v verdict) {
	if changed := c.view.set(name, v); changed {
		c.Log.Info("availability of an API service", "apiservice", name, "available", v.available, "reason", v.reason, "message", v.message)
	}
}
