"""Systems under test, all driven from outside: dkv and etcd."""
