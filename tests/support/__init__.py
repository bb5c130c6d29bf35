"""What tests stand on: mounts, drives that hang, servers, readers, fakes."""
