package availability

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/cache"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/detectviz/switchyard/modules/aggregator/kube/apis/service/v1alpha1"
)

// byBackend is the index of APIServices by "namespace/name" of their ExternalName.
const byBackend = "switchyard.detectviz.io/backend"

func backendOf(obj any) ([]string, error) {
	service, ok := obj.(*apiregistration.APIService)
	if !ok || service.Spec.Service == nil {
		return nil, nil
	}
	return []string{service.Spec.Service.Namespace + "/" + service.Spec.Service.Name}, nil
}

// watch makes changes of APIServices and ExternalNames enter the queue, until the returned function is called. synced is closed
// when all ExternalNames that are stored are known.
func (c *Controller) watch() (synced <-chan struct{}, stop func(), err error) {
	services, names := c.APIServices.Informer(), c.ExternalNames
	onServices, err := services.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    c.serviceChanged,
		DeleteFunc: c.serviceChanged,
		UpdateFunc: func(before, after any) {
			// Our own writes come by here as well.
			if !equality.Semantic.DeepEqual(before.(*apiregistration.APIService).Spec, after.(*apiregistration.APIService).Spec) {
				c.serviceChanged(after)
			}
		},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("watching apiservices: %w", err)
	}
	onNames, err := names.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    c.nameChanged,
		DeleteFunc: c.nameChanged,
		UpdateFunc: func(before, after any) {
			if before.(*v1alpha1.ExternalName).Spec != after.(*v1alpha1.ExternalName).Spec {
				c.nameChanged(after)
			}
		},
	})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("watching externalnames: %w", err), services.RemoveEventHandler(onServices))
	}
	return onNames.HasSyncedChecker().Done(), func() {
		// The errors say that an informer has ended before, and that is no matter.
		_ = services.RemoveEventHandler(onServices)
		_ = names.RemoveEventHandler(onNames)
	}, nil
}

func (c *Controller) serviceChanged(obj any) {
	if name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj); err == nil {
		c.checkNow(name)
	}
}

func (c *Controller) nameChanged(obj any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj)
	if err != nil {
		return
	}
	names, err := c.APIServices.Informer().GetIndexer().IndexKeys(byBackend, key)
	if err != nil {
		return // there is no such index: New adds it
	}
	for _, name := range names {
		c.checkNow(name)
	}
}

// checkNow has an APIService checked without regard to earlier failures, and to a check that is under way.
func (c *Controller) checkNow(name string) {
	c.running.interrupt(name)
	c.queue.Forget(name)
	c.queue.Add(name)
}
