//! `grpc://` and `grpcs://` targets against real health servers and against bad ones.
