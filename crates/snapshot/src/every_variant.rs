//! Enums whose variants can be listed.

/// Gives an enum the constant `ALL` with every variant. A variant that is missing in the list does not compile. One
/// that carries a value is listed with an example of it.
///
/// ```
/// enum Answer {
///     Yes,
///     In { days: u32 },
/// }
///
/// admit_snapshot::every_variant!(Answer: Yes, In { days: 1 });
///
/// assert_eq!(Answer::ALL.len(), 2);
/// ```
#[macro_export]
macro_rules! every_variant {
    ($type:ident: $($variant:ident $(($($value:tt)*))? $({ $($field:tt)* })?),+ $(,)?) => {
        impl $type {
            /// Every variant, in the order of its documentation.
            pub const ALL: &[Self] = &[$(Self::$variant $(($($value)*))? $({ $($field)* })?),+];
        }

        // Without a wildcard: the compiler names a variant that the list lacks.
        const _: fn(&$type) = |value| match value {
            $($type::$variant { .. } => {})+
        };
    };
}
