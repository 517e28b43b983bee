#pragma once

#include "plugins/engine/host.hpp"
#include "plugins/engine/plan.hpp"

namespace netctl::engine {

/// ADD of a driver that makes a link: reserve (one transaction), network, link with its peer still down, port flags and
/// policy, the container's side, conntrack, record. There is no moment without guard. A failure at any step takes back
/// everything, the network too when this was its first attachment.
/// `container_path` is the request's netns. The lock of the attachment is held all the time.
/// Errors: kAlreadyAttached, kInvalidNetns, kInterfaceTaken, those of allocation, ports, network; kKernel.
[[nodiscard]] cni::Result attach(Host& host, AttachmentRequest request);

/// Takes back an attachment whose result could not be delivered.
void undo_attach(Host& host, const AttachmentRequest& request);

/// What attach() would do, by the addresses that it would get now. Changes nothing but an unused store's existence.
[[nodiscard]] Plan plan_attach(Host& host, AttachmentRequest request);

}  // namespace netctl::engine
