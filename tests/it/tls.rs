//! `https://` targets against real TLS servers with certificates of their own.
