# For readers of the document of the Raft store with a REST API, whose make targets these are, one
# command each (`make` lists them). The real thing is `remex dev` for clusters on this machine
# (remex dev --help), and cargo for building and testing (CONTRIBUTING.md); nothing is done here
# that they, docker compose and kubectl do not do.

REMEX = cargo run --release --quiet --package remex-cli --

# The cluster of that document: node-1 to node-3, API on 7777 to 7779, RPC on 6666 to 6668.
CLUSTER_DIR = local-cluster
LOCAL_CLUSTER = --nodes 3 --name-prefix node- --client-port 7777 --peer-port 6666

# More options for remex dev: make run-local-cluster FLAGS=--tmux
FLAGS =

# The namespace of that document; kubectl create namespace raft-k8s makes it.
NAMESPACE = raft-k8s

.DEFAULT_GOAL = help
.PHONY: help build test-all setup-local-cluster run-local-cluster build-docker-container \
	run-docker-cluster destroy-docker-cluster k8s-deploy k8s-undeploy clean

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 26

build: ## Build target/release/remex
	cargo build --release --package remex-cli

test-all: ## Run all tests
	cargo test --workspace

setup-local-cluster: ## Lay out three nodes in local-cluster, and print their commands
	$(REMEX) dev $(LOCAL_CLUSTER) --write $(CLUSTER_DIR) $(FLAGS)

run-local-cluster: ## Run three nodes on this machine until Ctrl-C; data in local-cluster
	$(REMEX) dev $(LOCAL_CLUSTER) --keep $(CLUSTER_DIR) $(FLAGS)

build-docker-container: ## Build the image
	docker compose build node-1

run-docker-cluster: ## Run three nodes in containers
	docker compose up --build --detach --wait

destroy-docker-cluster: ## Remove them, their network and their data
	docker compose down --volumes

k8s-deploy: ## Run three nodes on Kubernetes
	kubectl --namespace $(NAMESPACE) apply -k deploy/kubernetes

k8s-undeploy: ## Remove them; their volumes stay
	kubectl --namespace $(NAMESPACE) delete -k deploy/kubernetes

clean: ## Remove what was built, and the data in local-cluster
	cargo clean
	rm -rf $(CLUSTER_DIR)
