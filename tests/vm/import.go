// Imports the OVA's description into the simulator of vCenter that Debian's govmomi has, and powers the machine on.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/ovf"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

func must(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	must(err, "the description")
	envelope, err := ovf.Unmarshal(bytes.NewReader(text))
	must(err, "parse")

	ctx := context.Background()
	center := simulator.VPX()
	must(center.Create(), "simulator")
	server := center.Service.NewServer()
	defer server.Close()
	client, err := govmomi.NewClient(ctx, server.URL, true)
	must(err, "login")

	finder := find.NewFinder(client.Client)
	datacenter, err := finder.DefaultDatacenter(ctx)
	must(err, "datacenter")
	finder.SetDatacenter(datacenter)
	datastore, err := finder.DefaultDatastore(ctx)
	must(err, "datastore")
	pools, err := finder.ResourcePoolList(ctx, "*")
	must(err, "pools")
	network, err := finder.Network(ctx, "VM Network")
	must(err, "network")
	folders, err := datacenter.Folders(ctx)
	must(err, "folders")

	var mapped []types.OvfNetworkMapping
	for _, each := range envelope.Network.Networks {
		mapped = append(mapped, types.OvfNetworkMapping{Name: each.Name, Network: network.Reference()})
	}
	parameters := types.OvfCreateImportSpecParams{
		OvfManagerCommonParams: types.OvfManagerCommonParams{Locale: "US"},
		EntityName:             "koi",
		NetworkMapping:         mapped,
		DiskProvisioning:       "thin",
	}
	made, err := ovf.NewManager(client.Client).CreateImportSpec(ctx, string(text), pools[0], datastore, parameters)
	must(err, "import")
	for _, each := range append(made.Error, made.Warning...) {
		must(fmt.Errorf("%s", each.LocalizedMessage), "import")
	}
	machine := made.ImportSpec.(*types.VirtualMachineImportSpec).ConfigSpec
	fmt.Printf("%s %d CPUs %d MB %s\n", machine.Name, machine.NumCPUs, machine.MemoryMB, machine.Version)
	for _, each := range machine.DeviceChange {
		fmt.Printf("device %T\n", each.GetVirtualDeviceConfigSpec().Device)
	}
	lease, err := pools[0].ImportVApp(ctx, made.ImportSpec, folders.VmFolder, nil)
	must(err, "import")
	_, err = lease.Wait(ctx, made.FileItem)
	must(err, "lease")
	must(lease.Complete(ctx), "lease")
	imported, err := finder.VirtualMachine(ctx, "koi")
	must(err, "the imported machine")
	task, err := imported.PowerOn(ctx)
	must(err, "power")
	must(task.Wait(ctx), "power")
	fmt.Println("powered on")
}
