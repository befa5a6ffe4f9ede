//! The keys that each type takes.

/// What a type takes.
pub struct Keys {
    pub required: &'static [&'static str],
    pub optional: &'static [&'static str],
}

pub const EBS: Keys = Keys {
    required: &["availabilityZone"],
    optional: &[
        "volumeId",
        "volumeType",
        "volumeSize",
        "iops",
        "throughput",
        "encrypted",
        "kmsKeyId",
        "temporaryRestoreDays",
    ],
};

pub const EC2: Keys = Keys {
    required: &["InstanceType", "SubnetId", "SecurityGroupIds"],
    optional: &[
        "VpcId",
        "IamInstanceProfileName",
        "BlockDeviceMappings",
        "RequireIMDSv2",
        "Placement",
        "CpuOptions",
        "DisableApiTermination",
        "DisableApiStop",
        "CreditSpecification",
        "CapacityReservationSpecification",
        "EbsOptimized",
        "EnclaveOptions",
        "HibernationOptions",
        "InstanceInitiatedShutdownBehavior",
        "Monitoring",
        "NetworkInterfaces",
        "ElasticInferenceAccelerators",
        "LicenseSpecifications",
        "Encrypted",
        "KmsKeyId",
    ],
};

pub const RDS: Keys = Keys {
    required: &["DBInstanceIdentifier"],
    optional: &[
        "DBInstanceClass",
        "Port",
        "AvailabilityZone",
        "DBSubnetGroupName",
        "MultiAZ",
        "PubliclyAccessible",
        "AutoMinorVersionUpgrade",
        "LicenseModel",
        "DBName",
        "Engine",
        "EngineVersion",
        "Iops",
        "StorageThroughput",
        "OptionGroupName",
        "StorageType",
        "VpcSecurityGroupIds",
        "Domain",
        "CopyTagsToSnapshot",
        "DomainIAMRoleName",
        "EnableIAMDatabaseAuthentication",
        "EnableCloudwatchLogsExports",
        "ProcessorFeatures",
        "UseDefaultProcessorFeatures",
        "DBParameterGroupName",
        "DeletionProtection",
        "NetworkType",
        "BackupTarget",
        "AllocatedStorage",
        "BackupRetentionPeriod",
        "PreferredBackupWindow",
        "MaxAllocatedStorage",
        "DedicatedLogVolume",
        "CACertificateIdentifier",
        "RestoreTime",
        "UseLatestRestorableTime",
        "SourceDbiResourceId",
        "KmsKeyId",
        "Encrypted",
        "vpcId",
    ],
};

pub const AURORA: Keys = Keys {
    required: &["DBClusterIdentifier", "Engine"],
    optional: &[
        "AvailabilityZones",
        "EngineVersion",
        "Port",
        "DBSubnetGroupName",
        "DatabaseName",
        "OptionGroupName",
        "VpcSecurityGroupIds",
        "KmsKeyId",
        "EnableIAMDatabaseAuthentication",
        "BacktrackWindow",
        "EnableCloudwatchLogsExports",
        "EngineMode",
        "ScalingConfiguration",
        "DBClusterParameterGroupName",
        "DeletionProtection",
        "CopyTagsToSnapshot",
        "Domain",
        "DomainIAMRoleName",
        "StorageType",
        "Iops",
        "PubliclyAccessible",
        "NetworkType",
        "ServerlessV2ScalingConfiguration",
        "RestoreTime",
        "Encrypted",
        "vpcId",
    ],
};

pub const S3: Keys = Keys {
    required: &["DestinationBucketName"],
    optional: &[
        "NewBucket",
        "Encrypted",
        "CreationToken",
        "EncryptionType",
        "KMSKey",
        "RestoreTime",
        "ItemsToRestore",
        "RestoreACLs",
    ],
};

pub const DYNAMODB: Keys = Keys {
    required: &["targetTableName"],
    optional: &[
        "originalTableName",
        "encryptionType",
        "kmsMasterKeyArn",
        "deletionProtection",
    ],
};

pub const EFS: Keys = Keys {
    required: &["newFileSystem", "Encrypted", "PerformanceMode"],
    optional: &[
        "file-system-id",
        "CreationToken",
        "KmsKeyId",
        "ItemsToRestore",
        "singleAzFilesystem",
        "availabilityZoneName",
    ],
};
