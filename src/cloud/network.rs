//! The network that a drill makes for itself: made once for the run, found again after a resume.
//!
//! Each part is looked for before it is made (by the run's tag and its name), and what is then set
//! on it can be set twice: so a network that a process left half made is completed.

pub(super) mod key;
pub(super) mod remove;
mod rules;
mod zone;

use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType};

use super::client::Clients;
use super::fault::{Fault, FaultKind};
use super::find;
use super::make::{Label, intend, present, unrepeated};
use super::names::{Kind, TAG_DRILL};
use super::poll::{Asked, Schedule};
use super::provider::{Inner, Work};
use super::state::Network;
use crate::document::drill::Drill;
use crate::document::drill::aws::Gateway;
use crate::drill::provider::{DrillContext, StepError};

/// Makes the scratch network, or takes the one that is there. One maker at a time; who comes later
/// gets what the first has made.
pub(super) async fn ensure(work: &Work<'_>) -> Result<Network, StepError> {
    let _one = work.inner.making.lock().await;
    if let Some(network) = work.inner.state().network.clone() {
        return Ok(network);
    }
    let network = Box::pin(Maker { work }.make()).await?;
    work.inner.state().network = Some(network.clone());
    Ok(network)
}

/// The network of this run, if one is there and was made to its end by an earlier process. Asks
/// only.
pub(super) async fn known(
    inner: &Inner,
    clients: &Clients,
    drill: &DrillContext,
) -> Result<Network, Fault> {
    if let Some(network) = inner.state().network.clone() {
        return Ok(network);
    }
    let what = "looking for the drill's network";
    let one = async |kind: Kind, part: &str| {
        let filters = filters(&drill.run, part);
        let found = find::ids(&clients.ec2, kind, filters).await?;
        Ok::<_, Fault>(found.into_iter().next())
    };
    let missing = |part: &str| Fault::ours(what, &format!("its {part} is no longer there"));
    let vpc = one(Kind::Vpc, "vpc").await?;
    let subnet = one(Kind::Subnet, "subnet").await?;
    let group = one(Kind::SecurityGroup, "group").await?;
    let subnet = subnet.ok_or_else(|| missing("subnet"))?;
    let network = Network {
        vpc: vpc.ok_or_else(|| missing("VPC"))?,
        zone: zone_of(clients, &subnet).await?,
        subnet,
        second_subnet: one(Kind::Subnet, "subnet-2").await?,
        security_group: group.ok_or_else(|| missing("security group"))?,
        key: key::known(inner, drill),
    };
    Ok(network)
}

/// The name of a part, in its tag `Name`.
fn part_name(run: &str, part: &str) -> String {
    format!("seawall-{}-{part}", run.to_ascii_lowercase())
}

fn filters(run: &str, part: &str) -> Vec<aws_sdk_ec2::types::Filter> {
    vec![
        find::tag(TAG_DRILL, run),
        find::tag("Name", &part_name(run, part)),
    ]
}

async fn zone_of(clients: &Clients, subnet: &str) -> Result<String, Fault> {
    let what = "asking for the drill's subnet";
    let answer = clients.ec2.describe_subnets().subnet_ids(subnet).send();
    let answer = answer.await.map_err(|e| Fault::of(what, e))?;
    let subnet = answer.subnets.and_then(|all| all.into_iter().next());
    present(what, "zone", subnet.and_then(|s| s.availability_zone))
}

/// Whether some step has a database, which wants two zones.
fn has_database(drill: &Drill) -> bool {
    let mut all = drill.steps.iter().filter_map(|s| s.aws.as_ref());
    all.any(|aws| aws.rds.is_some() || aws.aurora.is_some())
}

struct Maker<'w> {
    work: &'w Work<'w>,
}

impl Maker<'_> {
    fn run(&self) -> &str {
        &self.work.context.drill.run
    }

    fn ec2(&self) -> &aws_sdk_ec2::Client {
        &self.work.clients.ec2
    }

    /// The network is the whole drill's: it outlives the step that comes first.
    fn label(&self, kind: Kind, name: &str) -> Result<Label, StepError> {
        intend(self.work.inner, self.work.context.drill, None, kind, name)
    }

    /// What is there of this part.
    async fn found(&self, kind: Kind, part: &str) -> Result<Option<String>, StepError> {
        let what = "looking for the drill's network";
        let asked = self.work.send(what, false, || {
            find::ids(self.ec2(), kind, filters(self.run(), part))
        });
        Ok(asked.await?.into_iter().next())
    }

    async fn make(&self) -> Result<Network, StepError> {
        let drill = &self.work.inner.setup.drill;
        let document = &self.work.inner.scratch.network;
        let (first, second) = zone::subnets(&document.cidr).map_err(StepError::new)?;
        let vpc = self.vpc(&document.cidr).await?;
        let existing = self.found(Kind::Subnet, "subnet").await?;
        let (subnet, zone, zones) = match existing {
            Some(subnet) => {
                let clients = self.work.clients;
                let what = "asking for the drill's subnet";
                let zone = (self.work)
                    .send(what, true, || zone_of(clients, &subnet))
                    .await?;
                (subnet, zone, None)
            }
            None => {
                let zones = self.zones().await?;
                let types = zone::types(drill);
                let zone = zone::choose(document.zone.as_deref(), &zones, &types)
                    .map_err(StepError::new)?;
                let subnet = self.subnet(&vpc, "subnet", &first, &zone).await?;
                (subnet, zone, Some(zones))
            }
        };
        let mut second_subnet = None;
        if has_database(drill) {
            let existing = self.found(Kind::Subnet, "subnet-2").await?;
            second_subnet = Some(match existing {
                Some(subnet) => subnet,
                None => {
                    let zones = match zones {
                        Some(zones) => zones,
                        None => self.zones().await?,
                    };
                    let other = zone::another(&zone, &zones).map_err(StepError::new)?;
                    self.subnet(&vpc, "subnet-2", &second, &other).await?
                }
            });
        }
        self.gateway(&vpc, &subnet).await?;
        let security_group = self.security_group(&vpc).await?;
        let key = match zone::wants_key(drill) {
            true => Some(key::ensure(self).await?),
            false => None,
        };
        Ok(Network {
            vpc,
            zone,
            subnet,
            second_subnet,
            security_group,
            key,
        })
    }

    /// With names for what is in it.
    async fn vpc(&self, cidr: &str) -> Result<String, StepError> {
        let what = "creating the VPC";
        let vpc = match self.found(Kind::Vpc, "vpc").await? {
            Some(vpc) => vpc,
            None => {
                let label = self.label(Kind::Vpc, &part_name(self.run(), "vpc"))?;
                let client = unrepeated(self.work.clients);
                let make = || async {
                    let answer = client
                        .create_vpc()
                        .cidr_block(cidr)
                        .tag_specifications(label.specification(ResourceType::Vpc))
                        .send()
                        .await
                        .map_err(|e| Fault::of(what, e))?;
                    present(what, "id", answer.vpc.and_then(|vpc| vpc.vpc_id))
                };
                self.work.make_once(Kind::Vpc, &label, what, make).await?
            }
        };
        let what = "switching the VPC's DNS on";
        let on = AttributeBooleanValue::builder().value(true).build();
        let support = || async {
            let set = self.ec2().modify_vpc_attribute().vpc_id(&vpc);
            let set = set.enable_dns_support(on.clone()).send().await;
            set.map(drop).map_err(|e| Fault::of(what, e))
        };
        self.work.send(what, true, support).await?;
        let names = || async {
            let set = self.ec2().modify_vpc_attribute().vpc_id(&vpc);
            let set = set.enable_dns_hostnames(on.clone()).send().await;
            set.map(drop).map_err(|e| Fault::of(what, e))
        };
        self.work.send(what, true, names).await?;
        Ok(vpc)
    }

    /// The zones that are open to us, and which instance types each has.
    async fn zones(&self) -> Result<Vec<zone::Offered>, StepError> {
        let types = zone::types(&self.work.inner.setup.drill);
        let what = "asking which zone has which instance types";
        let asked = (self.work).send(what, false, || zone::offered(self.work.clients, &types));
        Ok(asked.await?)
    }

    async fn subnet(
        &self,
        vpc: &str,
        part: &str,
        cidr: &str,
        zone: &str,
    ) -> Result<String, StepError> {
        let what = "creating a subnet";
        let label = self.label(Kind::Subnet, &part_name(self.run(), part))?;
        let client = unrepeated(self.work.clients);
        let make = || async {
            let answer = client
                .create_subnet()
                .vpc_id(vpc)
                .cidr_block(cidr)
                .availability_zone(zone)
                .tag_specifications(label.specification(ResourceType::Subnet))
                .send()
                .await;
            let answer = answer.map_err(|e| Fault::of(what, e))?;
            present(what, "id", answer.subnet.and_then(|s| s.subnet_id))
        };
        let made = self.work.make_once(Kind::Subnet, &label, what, make);
        made.await
    }

    /// The way out, as far as the document wants one.
    async fn gateway(&self, vpc: &str, subnet: &str) -> Result<(), StepError> {
        let document = &self.work.inner.scratch.network;
        let target = match document.gateway {
            Gateway::None => return Ok(()),
            Gateway::Internet => "0.0.0.0/0".to_owned(),
            Gateway::Controller => document.controller.clone().ok_or_else(|| {
                StepError::new(
                    "making the way to the controller: the document does not say where it is; set \
                     `controller` to its address as a /32",
                )
            })?,
        };
        let gateway = self.internet_gateway(vpc).await?;
        let table = self.route_table(vpc, subnet).await?;
        let what = "creating the route out";
        let route = || async {
            let made = self.ec2().create_route().route_table_id(&table);
            let made = made.gateway_id(&gateway);
            let made = match target.contains(':') {
                true => made.destination_ipv6_cidr_block(&target),
                false => made.destination_cidr_block(&target),
            };
            unless_there(made.send().await.map_err(|e| Fault::of(what, e)))
        };
        self.work.send(what, true, route).await?;
        let what = "giving instances public addresses";
        let on = AttributeBooleanValue::builder().value(true).build();
        let addresses = || async {
            let set = self.ec2().modify_subnet_attribute().subnet_id(subnet);
            let set = set.map_public_ip_on_launch(on.clone()).send().await;
            set.map(drop).map_err(|e| Fault::of(what, e))
        };
        self.work.send(what, true, addresses).await?;
        Ok(())
    }

    async fn internet_gateway(&self, vpc: &str) -> Result<String, StepError> {
        let what = "creating the internet gateway";
        let gateway = match self.found(Kind::InternetGateway, "gateway").await? {
            Some(gateway) => gateway,
            None => {
                let name = part_name(self.run(), "gateway");
                let label = self.label(Kind::InternetGateway, &name)?;
                let client = unrepeated(self.work.clients);
                let make = || async {
                    let specification = label.specification(ResourceType::InternetGateway);
                    let made = client.create_internet_gateway();
                    let made = made.tag_specifications(specification).send().await;
                    let made = made.map_err(|e| Fault::of(what, e))?.internet_gateway;
                    present(what, "id", made.and_then(|one| one.internet_gateway_id))
                };
                let made = self
                    .work
                    .make_once(Kind::InternetGateway, &label, what, make);
                made.await?
            }
        };
        let what = "attaching the internet gateway";
        let attach = || async {
            let asked = self.ec2().describe_internet_gateways();
            let asked = asked.internet_gateway_ids(&gateway).send().await;
            let asked = asked.map_err(|e| Fault::of(what, e))?;
            let mut attached = asked
                .internet_gateways()
                .iter()
                .flat_map(|g| g.attachments());
            if attached.any(|one| one.vpc_id() == Some(vpc)) {
                return Ok(Asked::Ready(()));
            }
            let attach = self.ec2().attach_internet_gateway().vpc_id(vpc);
            let attach = attach.internet_gateway_id(&gateway).send().await;
            unless_there(attach.map_err(|e| Fault::of(what, e)))?;
            Ok(Asked::Ready(()))
        };
        let attached = self.work.until(Schedule::QUICK, what, true, attach);
        attached.await?;
        Ok(gateway)
    }

    async fn route_table(&self, vpc: &str, subnet: &str) -> Result<String, StepError> {
        let what = "creating the route table";
        let table = match self.found(Kind::RouteTable, "routes").await? {
            Some(table) => table,
            None => {
                let label = self.label(Kind::RouteTable, &part_name(self.run(), "routes"))?;
                let client = unrepeated(self.work.clients);
                let make = || async {
                    let specification = label.specification(ResourceType::RouteTable);
                    let made = client.create_route_table().vpc_id(vpc);
                    let made = made.client_token(&label.token);
                    let made = made.tag_specifications(specification).send().await;
                    let made = made.map_err(|e| Fault::of(what, e))?.route_table;
                    present(what, "id", made.and_then(|one| one.route_table_id))
                };
                let made = self.work.make_once(Kind::RouteTable, &label, what, make);
                made.await?
            }
        };
        let what = "giving the subnet its route table";
        let associate = || async {
            let made = self.ec2().associate_route_table().route_table_id(&table);
            let made = made.subnet_id(subnet).send().await;
            unless_there(made.map_err(|e| Fault::of(what, e)))
        };
        self.work.send(what, true, associate).await?;
        Ok(table)
    }

    /// Nothing goes out that the document does not want, and only the controller comes in.
    async fn security_group(&self, vpc: &str) -> Result<String, StepError> {
        let what = "creating the security group";
        let name = part_name(self.run(), "group");
        let group = match self.found(Kind::SecurityGroup, "group").await? {
            Some(group) => group,
            None => {
                let label = self.label(Kind::SecurityGroup, &name)?;
                let client = unrepeated(self.work.clients);
                let make = || async {
                    let answer = client
                        .create_security_group()
                        .group_name(&name)
                        .description("A recovery drill: taken away at its end")
                        .vpc_id(vpc)
                        .tag_specifications(label.specification(ResourceType::SecurityGroup))
                        .send()
                        .await
                        .map_err(|e| Fault::of(what, e))?;
                    present(what, "id", answer.group_id)
                };
                let made = (self.work).make_once(Kind::SecurityGroup, &label, what, make);
                made.await?
            }
        };
        let drill = &self.work.inner.setup.drill;
        let wanted = rules::wanted(drill, &self.work.inner.scratch.network, &group);
        let what = "setting the security group's rules";
        // Asked for again until it is as it should be: what EC2 says can be behind.
        let set = || rules::set(self.ec2(), &group, &wanted);
        let set = self.work.until(Schedule::QUICK, what, true, set);
        set.await?;
        Ok(group)
    }
}

/// That it is there already is as good as made.
fn unless_there<T>(answer: Result<T, Fault>) -> Result<(), Fault> {
    match answer {
        Err(fault) if fault.kind != FaultKind::Exists => Err(fault),
        _ => Ok(()),
    }
}
